"""How well selectors pick: suites, metrics, comparisons, runs, whole-pool sets, planning."""
