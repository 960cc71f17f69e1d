#!/usr/bin/env python3
"""Writes src/tables.rs: the constants of exp, ln and the normal tail. Needs mpmath; takes about ten seconds.

    python3 tests/reference/tables.py > src/tables.rs

Polynomials are Chebyshev interpolants on [0, 1), within a small factor of the best of their degree. Every coefficient is
positive, so that the Rust side works in unsigned fractions: the variable runs from that end of a piece from which the
function grows. Where interpolation gives a negative coefficient, that power is left out and the others are fitted again.
"""

from mpmath import mp, mpf, cos, erfc, exp, ln, log, matrix, lu_solve, nstr, pi, sqrt, factorial

mp.prec = 500

ONE = 1 << 128


def fraction(x, bits=128):
    """The nearest integer to x * 2^bits."""
    n = int(mp.nint(x * mpf(2) ** bits))
    assert 0 <= n < ONE, nstr(x)
    return n


def fit(f, terms):
    """Coefficients of the polynomial with `terms` terms at most that meets f at the Chebyshev points of [0, 1]."""
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
    """The largest difference on a grid of [0, 1], in bits."""
    worst = mpf(0)
    for i in range(101):
        x = mpf(i) / 100
        worst = max(worst, abs(sum(c * x**k for k, c in enumerate(coefficients)) - f(x)))
    return log(worst, 2)


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


def rows(values, indent):
    return "\n".join(" " * indent + f"0x{v:032x}," for v in values)


def constant(doc, name, value):
    print(f"\n/// {doc}\npub(crate) const {name}: u128 = 0x{value:032x};")


def table(doc, name, values):
    print(f"\n/// {doc}\npub(crate) const {name}: [u128; {len(values)}] = [\n{rows(values, 4)}\n];")


def main():
    print("//! Constants. Written by `tests/reference/tables.py`, which says how they come about; edit that.")
    constant("`ln 2` in units of 2⁻¹²⁸.", "LN_2", fraction(ln(2)))
    constant("`log₂ e` in units of 2⁻¹²⁷.", "LOG2_E", fraction(1 / ln(2), 127))
    constant("`1 / √(2π)` in units of 2⁻¹²⁹.", "INV_SQRT_2_PI", fraction(1 / sqrt(2 * pi), 129))

    f = lambda v: (mpf(2) ** (v / 32) - 1) / v if v else ln(2) / 32
    c = fit(f, 12)
    table("`2^(j/32)` in units of 2⁻¹²⁷.", "EXP2_STEPS", [fraction(mpf(2) ** (mpf(j) / 32), 127) for j in range(32)])
    table(f"`(2^(v/32) − 1) / v` in units of 2⁻¹²⁸; error 2^{nstr(error(f, c), 4)}.", "EXP2", [fraction(x) for x in c])

    f = lambda v: -ln(1 - v / 64) / v if v else mpf(1) / 64
    c = fit(f, 15)
    steps = [(2**14 * 64) // (65 + j) for j in range(64)]
    print(f"\n/// `1 / (1 + (j+1)/64)` in units of 2⁻¹⁴, rounded down.\npub(crate) const LN_RECIPROCALS: [u16; 64] = [")
    for i in range(0, 64, 16):
        print("    " + " ".join(f"{x}," for x in steps[i : i + 16]))
    print("];")
    table("`−ln` of [`LN_RECIPROCALS`] in units of 2⁻¹²⁸.", "LN_STEPS", [fraction(-ln(mpf(s) / 2**14)) for s in steps])
    table(f"`−ln(1 − v/64) / v` in units of 2⁻¹²⁸; error 2^{nstr(error(f, c), 4)}.", "LN", [fraction(x) for x in c])

    all_pieces = pieces()
    fits, worst = [], []
    for a, b in all_pieces:
        f = lambda v: tail(b - (b - a) * v)
        c = fit(f, 20)
        fits.append(c)
        worst.append((error(f, c) - log(tail(b), 2), a))
    near, far = max(w for w in worst if w[1] < 8)[0], max(worst)[0]
    print("\n/// Terms of each row of [`TAIL`].\npub(crate) const TAIL_TERMS: usize = 20;")
    print("\n/// `exp(x²/2) · N(−x)` in units of 2⁻¹²⁸ on eighths of [0, 2), [2, 4), [4, 8) … and half of [32, 64), in powers of the")
    print(f"/// distance from the right end as a part of the piece. Relative error 2^{nstr(near, 4)} up to 8, 2^{nstr(far, 4)} beyond.")
    print(f"pub(crate) const TAIL: [[u128; TAIL_TERMS]; {len(fits)}] = [")
    for (a, b), c in zip(all_pieces, fits):
        print(f"    // [{nstr(a, 6)}, {nstr(b, 6)})\n    [\n{rows([fraction(x) for x in c], 8)}\n    ],")
    print("];")


main()
