#!/usr/bin/env python3
"""Writes src/tables.rs: the constants of exp, ln and the normal tail. Needs mpmath; takes about ten seconds.

    python3 tests/reference/tables.py > src/tables.rs

Polynomials are Chebyshev interpolants on [0, 1), within a small factor of the best of their degree. Every coefficient is
positive, so that the Rust side works in unsigned fractions: the variable runs from that end of a piece from which the
function grows. Where interpolation gives a negative coefficient, that power is left out and the others are fitted again.
"""

from mpmath import cos, erfc, exp, ln, log, lu_solve, matrix, mp, mpf, nstr, pi, sqrt

mp.prec = 500

ONE = 1 << 128


def fraction(x, bits=128):
    """The nearest integer to x * 2^bits."""
    n = int(mp.nint(x * mpf(2) ** bits))
    assert 0 <= n < ONE, nstr(x)
    return n


def interpolate(f, terms):
    """The polynomial with `terms` terms at most that meets f at the Chebyshev points of [0, 1]."""
    powers = list(range(terms))
    while True:
        n = len(powers)
        points = [(1 + cos(pi * (2 * k + 1) / (2 * n))) / 2 for k in range(n)]
        found = lu_solve(matrix([[x**p for p in powers] for x in points]), matrix([f(x) for x in points]))
        negative = [p for p, c in zip(powers, found) if c < 0]
        if not negative:
            result = [mpf(0)] * terms
            for p, c in zip(powers, found):
                result[p] = c
            return result
        powers.remove(negative[-1])


def error(f, coefficients):
    """The largest relative error on a grid of [0, 1], in bits."""
    grid = [mpf(i) / 100 for i in range(101)]
    return max(log(abs(sum(c * x**k for k, c in enumerate(coefficients)) / f(x) - 1), 2) for x in grid)


def fit(f, bits):
    """The shortest polynomial with a relative error of at most 2^-bits, and that error in bits."""
    for terms in range(8, 30):
        c = interpolate(f, terms)
        if error(f, c) <= -bits:
            return c, error(f, c)


def tail(x):
    """exp(x^2/2) * N(-x): half at zero, falling towards 1/(x sqrt(2 pi))."""
    return erfc(x / sqrt(mpf(2))) * exp(x * x / 2) / 2


def pieces():
    """Eighths of [0, 2) and of every octave above, up to 48."""
    edges = [mpf(i) / 4 for i in range(8)]
    for octave in (2, 4, 8, 16, 32):
        edges += [octave * (1 + mpf(i) / 8) for i in range(8)]
    edges = [e for e in edges if e < 48] + [mpf(48)]
    return list(zip(edges, edges[1:]))


def lines(values, indent):
    return "\n".join(" " * indent + f"0x{v:032x}," for v in values)


def constant(doc, name, value):
    print(f"\n/// {doc}\npub(crate) const {name}: u128 = 0x{value:032x};")


def table(doc, name, values):
    print(f"\n/// {doc}\npub(crate) const {name}: [u128; {len(values)}] = [\n{lines(values, 4)}\n];")


def main():
    print("//! Constants. Written by `tests/reference/tables.py`, which says how they come about; edit that.")
    constant("`ln 2` in units of 2⁻¹²⁸.", "LN_2", fraction(ln(2)))
    constant("`log₂ e` in units of 2⁻¹²⁷.", "LOG2_E", fraction(1 / ln(2), 127))
    constant("`1 / √(2π)` in units of 2⁻¹²⁹.", "INV_SQRT_2_PI", fraction(1 / sqrt(2 * pi), 129))

    f = lambda v: (mpf(2) ** (v / 32) - 1) / v if v else ln(2) / 32
    c, bits = fit(f, 100)
    table("`2^(j/32)` in units of 2⁻¹²⁷.", "EXP2_STEPS", [fraction(mpf(2) ** (mpf(j) / 32), 127) for j in range(32)])
    table(f"`(2^(v/32) − 1) / v` in units of 2⁻¹²⁸; relative error 2^{nstr(bits, 4)}.", "EXP2", [fraction(x) for x in c])

    f = lambda v: -ln(1 - v / 64) / v if v else mpf(1) / 64
    c, bits = fit(f, 120)
    steps = [(2**14 * 64) // (65 + j) for j in range(64)]
    print("\n/// `1 / (1 + (j+1)/64)` in units of 2⁻¹⁴, rounded down.\npub(crate) const LN_RECIPROCALS: [u16; 64] = [")
    for i in range(0, 64, 16):
        print("    " + " ".join(f"{x}," for x in steps[i : i + 16]))
    print("];")
    table("`−ln` of [`LN_RECIPROCALS`] in units of 2⁻¹²⁸.", "LN_STEPS", [fraction(-ln(mpf(s) / 2**14)) for s in steps])
    table(f"`−ln(1 − v/64) / v` in units of 2⁻¹²⁸; relative error 2^{nstr(bits, 4)}.", "LN", [fraction(x) for x in c])

    rows, worst = [], -1000
    for a, b in pieces():
        f = lambda v: tail(b - (b - a) * v)
        c, bits = fit(f, 100)
        rows.append((a, b, c))
        worst = max(worst, bits)
    print("\n/// `exp(x²/2) · N(−x)` in units of 2⁻¹²⁸ on eighths of [0, 2), [2, 4), [4, 8) … and half of [32, 64), in powers of the")
    print(f"/// distance from the right end as a part of the piece; relative error 2^{nstr(worst, 4)}.")
    print(f"pub(crate) const TAIL: [&[u128]; {len(rows)}] = [")
    for a, b, c in rows:
        print(f"    // [{nstr(a, 6)}, {nstr(b, 6)})\n    &[\n{lines([fraction(x) for x in c], 8)}\n    ],")
    print("];")


main()
