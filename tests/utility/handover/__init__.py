"""Out to those who answer, and back."""
