"""How far picks agree with a utility, and with each other; pure, over clusters."""
