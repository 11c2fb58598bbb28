"""Where tasks are run: in this process, or side by side in several."""
