"""Where the shop delivers to, spelled as on its invoices."""

from __future__ import annotations

COUNTRIES = frozenset({
    "Australia", "Austria", "Bahrain", "Belgium", "Brazil", "Canada", "Channel Islands", "Cyprus",
    "Czech Republic", "Denmark", "EIRE", "European Community", "Finland", "France", "Germany",
    "Greece", "Hong Kong", "Iceland", "Israel", "Italy", "Japan", "Lebanon", "Lithuania", "Malta",
    "Netherlands", "Norway", "Poland", "Portugal", "RSA", "Saudi Arabia", "Singapore", "Spain",
    "Sweden", "Switzerland", "USA", "United Arab Emirates", "United Kingdom", "Unspecified",
})  # fmt: skip
