#!/usr/bin/env python3
"""The back-test of `novate calc backtest` in doubles, written apart from it: section 12's forecasts, Kupiec's test at 99 %.

Prints what `../backtest.rs` holds the calculator to. Run it from this folder.
"""
import csv, gzip, math
from statistics import NormalDist

DATA = "../../../bench/data/"
CRASH, DEPEG = "crash_2022-11_ftx_1m.csv.gz", "usdc_depeg_2023-03_1m.csv.gz"
ALPHA, BETA, WARM_UP, COVERAGE = 0.05, 0.94, 86_400, 0.99


def load(file):
    series = {}
    with gzip.open(DATA + file, "rt") as lines:
        for row in csv.DictReader(lines):
            name = row["exchange"] + ":" + row["symbol"]
            series.setdefault(name, {})[int(row["ts"])] = float(row["close"])
    return series


def forecasts(closes, period, horizon, half_life):
    """For every bar after the warm-up: volatilities over the horizon, EWMA and GARCH, and the floor."""
    decay = 0.5 ** (period / half_life)
    steps, squares, ewma, garch = horizon // period, [], None, None
    total, out, before = 0.0, {}, None
    for ts, close in closes.items():
        if before == ts - period:
            square = math.log(close / closes[before]) ** 2
            squares.append(square)
            total += square
            mean = total / len(squares)
            if len(squares) == WARM_UP // period:
                ewma = garch = mean
            elif ewma is not None:
                ewma = decay * ewma + (1 - decay) * square
                garch = mean * (1 - ALPHA - BETA) + ALPHA * square + BETA * garch
        before = ts
        if ewma is not None:
            mean = total / len(squares)
            ahead = sum(mean + (ALPHA + BETA) ** k * (garch - mean) for k in range(steps))
            out[ts] = math.sqrt(steps * ewma), math.sqrt(ahead), math.sqrt(steps * mean)
    return out


def kupiec(tested, count):
    p = 1 - COVERAGE
    likelihood = lambda share: count * math.log(share or 1) + (tested - count) * math.log(1 - share)
    statistic = 2 * (likelihood(count / tested) - likelihood(p))
    return statistic, math.erfc(math.sqrt(max(statistic, 0) / 2))


def backtest(closes, horizon, half_life):
    times = list(closes)
    period = min(b - a for a, b in zip(times, times[1:]))
    known = forecasts(closes, period, horizon, half_life)
    quantile = NormalDist().inv_cdf(COVERAGE)
    # Horizons one after the other: the next begins with the first bar after the last.
    begins, due = [], 0
    for ts in known:
        if ts >= due:
            begins.append(ts)
            due = ts + horizon
    worst, tested, counts = [0, 0], 0, [[0, 0] for _ in range(4)]
    for ts in begins:
        ewma, garch, floor = known[ts]
        worst = [max(worst[0], ewma), max(worst[1], garch)]
        buffered = [max(0.75 * f + 0.25 * w, floor) for f, w in zip((ewma, garch), worst)]
        if ts + horizon not in closes:
            continue
        tested += 1
        change = math.log(closes[ts + horizon] / closes[ts])
        for count, volatility in zip(counts, (ewma, buffered[0], garch, buffered[1])):
            count[0] += change < -quantile * volatility
            count[1] += change > quantile * volatility
    return tested, counts


for file, names in ((CRASH, ("binance_usdm:BTCUSDT-PERP", "binance_usdm:ETHUSDT-PERP")),
                    (DEPEG, ("coinbase:BTC-USD", "kraken:USDC-USD"))):
    series = load(file)
    for name in names:
        for horizon in 60, 600:
            for half_life in 432_000, 3_600:
                tested, counts = backtest(series[name], horizon, half_life)
                print(name, horizon, half_life, tested, counts)
                for count in sorted({c for of in counts for c in of}):
                    print("    ", count, *("%.9g" % x for x in kupiec(tested, count)))
