#!/usr/bin/env python3
"""Writes tests/reference/values.txt: what the functions should give, to 40 digits. Needs mpmath; takes a minute.

    python3 tests/reference/values.py > tests/reference/values.txt

A line is a group, its arguments and its results. Arguments are exact, `<hexadecimal>p<power of two>`, so that no rounding of
theirs is taken for an error of the function; half of them have all 128 bits. Groups whose name ends alike are one function on
another range: `black_deep` are options far from the money.
"""

import random
from fractions import Fraction

from mpmath import mp, mpf, erfc, exp, expm1, ln, log, log1p, nstr, pi, power, sqrt

mp.prec = 1200
rng = random.Random(20260930)


EDGES = [e / 4 for e in range(8)] + [o * (1 + i / 8) for o in (2, 4, 8, 16) for i in range(8)] + [32.0, 36.0]


class Number:
    """A number of at most 128 bits near the float x."""

    def __init__(self, x):
        n, d = abs(x).as_integer_ratio()
        self.sign, self.exponent = ("-" if x < 0 else ""), -(d.bit_length() - 1)
        if rng.random() < 0.5 and n:
            more = 128 - n.bit_length()
            n = (n << more) + rng.getrandbits(max(more, 1) - 1)
            self.exponent -= more
        while n and n % 2 == 0:
            n, self.exponent = n // 2, self.exponent + 1
        self.mantissa = n
        self.value = mpf(n) * mpf(2) ** self.exponent * (-1 if x < 0 else 1)

    @classmethod
    def nearest(cls, x):
        """The number of 128 bits nearest to x, which is positive."""
        self = cls(1.0)
        self.exponent = int(mp.floor(log(x, 2))) - 127
        self.mantissa = int(mp.nint(x / mpf(2) ** self.exponent))
        self.value = mpf(self.mantissa) * mpf(2) ** self.exponent
        return self

    def __str__(self):
        return f"{self.sign}{self.mantissa:x}p{self.exponent}"


def line(group, arguments, results):
    print(group, *arguments, "=", *(nstr(r, 40) for r in results))


def uniform(a, b):
    return Number(rng.uniform(a, b))


def magnitude(a, b):
    """Between 10^a and 10^b, evenly in the logarithm."""
    return Number(10 ** rng.uniform(a, b))


def either(x):
    if rng.random() < 0.5:
        x.sign, x.value = "-", -x.value
    return x


def function(group, f, points):
    for x in points:
        line(group, [x], [f(x.value)])


def cdf(x):
    return erfc(-x / sqrt(mpf(2))) / 2


def pdf(x):
    return exp(-x * x / 2) / sqrt(2 * pi)


def quantile(p):
    """By Newton's steps on the logarithm from below, where they cannot overshoot."""
    if p > mpf(1) / 2:
        return -quantile(1 - p)
    z = -sqrt(-2 * ln(p))
    for _ in range(40):
        z -= ln(cdf(z) / p) * cdf(z) / pdf(z)
    return z


def black(group, f, k, v, t, r):
    """Call, put, delta of the call, gamma, vega, theta of the call."""
    F, K, V, T, R = (x.value for x in (f, k, v, t, r))
    s = V * sqrt(T)
    d1 = ln(F / K) / s + s / 2
    d2 = d1 - s
    if min(abs(d1), abs(d2)) > 36.9:
        return False
    D = exp(-R * T)
    call, put = D * (F * cdf(d1) - K * cdf(d2)), D * (K * cdf(-d2) - F * cdf(-d1))
    gamma, vega = D * pdf(d1) / (F * s), D * F * pdf(d1) * sqrt(T)
    theta = R * call - D * F * pdf(d1) * V / (2 * sqrt(T))
    line(group, [f, k, v, t, r], [call, put, D * cdf(d1), gamma, vega, theta])
    return True


def options(group, count, make):
    while count:
        count -= black(group, *make())


def around(f, deviations, v, t):
    """A strike so many standard deviations from the forward."""
    return Number.nearest(f.value * exp(v.value * sqrt(t.value) * mpf(deviations)))


def general():
    f, v, t = magnitude(-3, 6), uniform(0.05, 2.0), uniform(0.001, 2.0)
    return f, around(f, rng.gauss(0, 1.5), v, t), v, t, uniform(-0.02, 0.15)


def deep():
    f, v, t = magnitude(0, 5), uniform(0.2, 1.5), uniform(0.002, 1.0)
    return f, around(f, rng.choice((-1, 1)) * rng.uniform(5, 38), v, t), v, t, uniform(0, 0.1)


def near():
    """Standard deviations to expiry of 10^-9 to 10^-3."""
    f, v = magnitude(0, 5), uniform(0.1, 3.0)
    t = Number(float((mpf(10) ** rng.uniform(-9, -3) / v.value) ** 2))
    return f, around(f, rng.gauss(0, 2), v, t), v, t, uniform(0, 0.1)


def edge():
    """The same, with d next to where the polynomials of N change."""
    f, v = magnitude(0, 5), uniform(0.1, 3.0)
    t = Number(float((mpf(10) ** rng.uniform(-9, -3) / v.value) ** 2))
    return f, around(f, rng.choice((-1, 1)) * rng.choice(EDGES[1:28]), v, t), v, t, uniform(0, 0.1)


def long():
    f, v, t = magnitude(0, 5), uniform(0.05, 1.0), uniform(2, 40)
    return f, around(f, rng.gauss(0, 2), v, t), v, t, uniform(-0.02, 0.15)


def wild():
    """Standard deviations of 3 to 60."""
    f, v, t = magnitude(0, 5), uniform(3, 20), uniform(1, 9)
    return f, Number(float(f.value) * 10 ** rng.uniform(-6, 6)), v, t, uniform(0, 0.1)


def at_the_money():
    f, v, t = magnitude(-6, 9), uniform(0.001, 2.0), magnitude(-7, 1)
    return f, f, v, t, uniform(0, 0.1)


def main():
    print("# Written by values.py.")
    function("exp", exp, [either(magnitude(-25, 1.7)) for _ in range(200)] + [uniform(-700, 700) for _ in range(100)])
    function("exp_large", exp, [either(uniform(700, 7000)) for _ in range(40)])
    function("exp_m1", expm1, [either(magnitude(-25, -1)) for _ in range(100)] + [uniform(-40, 40) for _ in range(30)])
    function("ln", ln, [magnitude(-30, 30) for _ in range(400)])
    function("ln_near_one", ln, [Number(float(1 + either(magnitude(-15, -0.3)).value)) for _ in range(150)])
    function("ln_1p", log1p, [either(magnitude(-25, -0.1)) for _ in range(100)])
    function("sqrt", sqrt, [magnitude(-30, 30) for _ in range(100)])
    for _ in range(100):
        x, y = magnitude(-4, 4), uniform(-3, 3)
        line("pow", [x, y], [power(x.value, y.value)])
    function("cdf", cdf, [uniform(-8, 8) for _ in range(400)] + [either(magnitude(-20, 0)) for _ in range(50)])
    function("cdf_edge", cdf, [Number(s * (e + d)) for e in EDGES for s, d in ((-1, 0), (-1, -1e-15), (-1, 1e-15)) if e + d > 0])
    function("cdf_far", cdf, [uniform(-47.9, -8) for _ in range(250)])
    function("cdf_upper", cdf, [uniform(0, 37) for _ in range(60)])
    function("pdf", pdf, [uniform(-37, 37) for _ in range(100)])
    function("quantile", quantile, [magnitude(-300, -0.31) for _ in range(80)] + [uniform(0.001, 0.999) for _ in range(80)])
    options("black_general", 300, general)
    options("black_deep", 150, deep)
    options("black_near", 150, near)
    options("black_edge", 150, edge)
    options("black_long", 80, long)
    options("black_wild", 80, wild)
    options("black_at_the_money", 80, at_the_money)


main()
