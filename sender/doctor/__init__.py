"""The doctor: whether the world sees us as it must for mail to arrive.

Facts are fetched (DNS answers, banners) or handed in (limits of the machine) as values; judgements
over them are pure and name one of the findings of doctor.toml.  What nobody could establish is
`unknown`, never a pass.
"""

from __future__ import annotations
