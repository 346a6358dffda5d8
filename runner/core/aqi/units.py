"""Units of concentrations: mass in a volume of air (ug/m3) and mixing ratio (ppb, ppm).

At 25 degrees C and 1 atm, EPA's reference conditions (40 CFR 50.3), a mole of air is 24.45 litres,
so ug/m3 = ppb * molar mass / 24.45. Others convert at 20 degrees C (24.06 litres; the European
Union) or 0 degrees (22.41): their ppb differ from ours by 2 and 9 %. A concentration that a
provider gives in one unit is best kept in it.
"""

from __future__ import annotations

MOLAR_VOLUME = 24.45
"""Litres of a mole of an ideal gas at 25 degrees C and 1 atm, as EPA rounds it."""

MOLAR_MASS = {"o3": 48.00, "no2": 46.01, "so2": 64.07, "co": 28.01}
"""g/mol (IUPAC atomic weights: C 12.011, N 14.007, O 15.999, S 32.06), to the hundredth."""

_MASS = {"ug/m3": 1.0, "mg/m3": 1000.0}
"""How many ug/m3."""

_RATIO = {"ppb": 1.0, "ppm": 1000.0}
"""How many ppb."""


def unit_name(text: str) -> str:
    """Return the name used here of a unit as providers write it, e.g. `µg/m³`.

    Raises:
        ValueError: it is none of ug/m3, mg/m3, ppb and ppm.
    """
    name = text.strip().lower()
    for there, here in (("\N{MICRO SIGN}", "u"), ("\N{GREEK SMALL LETTER MU}", "u"), ("³", "3")):
        name = name.replace(there, here)
    if name not in _MASS and name not in _RATIO:
        known = ", ".join([*_MASS, *_RATIO])
        msg = f"{text!r} is no unit of a concentration; known are {known}"
        raise ValueError(msg)
    return name


def converted(value: float, unit: str, to: str, pollutant: str) -> float:
    """Return a concentration in another unit.

    Args:
        value: the concentration.
        unit: its unit, as a provider writes it.
        to: the unit wanted, likewise.
        pollutant: `pm25`, `pm10`, `o3`, `no2`, `so2` or `co`.

    Raises:
        ValueError: a unit is not known, or the pollutant has no molar mass (particles).
    """
    have, want = unit_name(unit), unit_name(to)
    if have == want:
        return value
    if have in _MASS and want in _MASS:
        return value * _MASS[have] / _MASS[want]
    if have in _RATIO and want in _RATIO:
        return value * _RATIO[have] / _RATIO[want]
    if pollutant not in MOLAR_MASS:
        msg = f"{pollutant} cannot be converted from {have} to {want}: it has no molar mass"
        raise ValueError(msg)
    ugm3_of_a_ppb = MOLAR_MASS[pollutant] / MOLAR_VOLUME
    if have in _MASS:
        return value * _MASS[have] / ugm3_of_a_ppb / _RATIO[want]
    return value * _RATIO[have] * ugm3_of_a_ppb / _MASS[want]
