"""The report: how mail did, against the week before, for people without dashboards."""
