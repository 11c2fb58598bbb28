"""Standard digital attacks: one attack, one file, one function that returns Adversarials."""
