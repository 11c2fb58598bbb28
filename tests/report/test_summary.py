"""Figures from trials: against counts made by hand, and against a slow count in plain Python."""

from dataclasses import replace

import numpy as np
import pytest
from conftest_values import *  # noqa: F403
