"""Pure planning: the same study, dataset and seed give the same plan on any machine. No I/O, no clock."""
