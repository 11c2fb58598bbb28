"""Stickers: a few rectangles that cover as much as possible of a heat map for a given area."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError, check_range

Mask = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]
Cells = npt.NDArray[np.int64]  # [N,4] rows of left, top, right, bottom in grid cells

MAX_STICKERS = 16
_MAX_CANDIDATES = 150_000
_MAX_PRODUCTS = 4_000_000
_BISECTIONS = 10
_SWEEPS = 4
_STARTS = 6
_REACH = 2  # cells that an edge moves at once in the local search
_MAX_MOVES = 300


@dataclass(frozen=True, order=True)
class Rectangle:
    """Texels [top, bottom) x [left, right), origin top left."""

    left_px: int
    top_px: int
    right_px: int
    bottom_px: int

    @property
    def area_px(self) -> int:
        """Number of texels."""
        return (self.right_px - self.left_px) * (self.bottom_px - self.top_px)


def rectangles_mask(rectangles: Sequence[Rectangle], size: int) -> Mask:
    """[size,size] True inside any of the rectangles."""
    mask = np.zeros((size, size), dtype=bool)
    for r in rectangles:
        mask[r.top_px : r.bottom_px, r.left_px : r.right_px] = True
    return mask


def fit_rectangles(
    heat: npt.NDArray[np.floating],
    face_alpha: Mask,
    *,
    max_area_share: float,
    count: int = 4,
    min_side_px: int = 16,
    grid_px: int = 4,
) -> list[Rectangle]:
    """Place up to ``count`` stickers where the heat is, as RP2 shaped its stickers by hand.

    Maximises the heat that is covered, subject to the area. A price per area is found by bisection;
    at each price the rectangles are chosen greedily and re-chosen in turn (block coordinate ascent
    over all rectangles on a grid); then edges are moved, one rectangle growing at another's
    expense, until nothing improves.

    Args:
        heat: [T,T] >= 0, e.g. |change| of a sparse attack summed over channels.
        face_alpha: [T,T] True on the face; rectangles lie wholly inside it.
        max_area_share: Largest share of the face's area that they may cover together, in (0,1].
        count: Largest number of rectangles.
        min_side_px: Shortest side that can be cut and stuck by hand.
        grid_px: Edges are multiples of this (the colour texel), which must divide T.

    Returns:
        Rectangles without overlap, sorted from left to right; at least one.

    Raises:
        UserError: If ``count`` or the area is out of range, or if no rectangle of the least size
            fits the area or the face.
        ValueError: If shapes or grid do not fit, or if heat is negative or not finite.

    References:
        Eykholt et al. 2018 (RP2), sec. 3.3: L1 finds the vulnerable regions, then the mask is
        made of rectangles there.
    """
    side = face_alpha.shape[0]
    if (
        heat.shape != (side, side)
        or face_alpha.shape != heat.shape
        or grid_px < 1
        or side % grid_px
    ):
        raise ValueError(
            f"heat {heat.shape}, face {face_alpha.shape}, grid {grid_px}: need [T,T], T a multiple"
        )
    if not np.all(np.isfinite(heat)) or np.any(heat < 0):
        raise ValueError("heat must be finite and >= 0")
    check_range("max_area", max_area_share, 0, 1, low_open=True)
    check_range("stickers", count, 1, MAX_STICKERS)
    cells = side // grid_px
    blocks = (cells, grid_px, cells, grid_px)
    free = face_alpha.reshape(blocks).all(axis=(1, 3))
    budget = int(max_area_share * np.count_nonzero(face_alpha) / grid_px**2 + 1e-9)
    least = max(1, -(-min_side_px // grid_px))
    search = _Search(
        _integral(heat.astype(np.float64).reshape(blocks).sum(axis=(1, 3))),
        _integral(~free),
        budget,
        least,
    )
    found = search.best(count)
    if len(found) == 0:
        raise UserError(
            f"stickers on at most {max_area_share:.1%} of the face",
            f"not one of {least * grid_px} x {least * grid_px} texels fits",
            "Allow more area.",
        )
    return sorted(Rectangle(*(int(edge) * grid_px for edge in row)) for row in found)


def _integral(values: npt.ArrayLike) -> Array:
    """[n+1,n+1] sums of all values above and to the left."""
    return np.pad(np.asarray(values, dtype=np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)


def _sums(integral: Array, r: Cells) -> Array:
    """[N] sums over [N,4] rectangles."""
    left, top, right, bottom = r.T
    rows = integral[bottom, right] - integral[top, right]
    return rows - integral[bottom, left] + integral[top, left]


def _areas(r: Cells) -> Cells:
    return (r[:, 2] - r[:, 0]) * (r[:, 3] - r[:, 1])


def _apart(r: Cells, other: Cells) -> Mask:
    """[N] True where rows of ``r`` do not overlap the rectangle ``other`` [4]."""
    return (
        (r[:, 2] <= other[0])
        | (r[:, 0] >= other[2])
        | (r[:, 3] <= other[1])
        | (r[:, 1] >= other[3])
    )


@dataclass(frozen=True)
class _Search:
    """Integral images of heat and of cells off the face; largest area and least side in cells."""

    heat: Array
    blocked: Array
    budget: int
    least: int

    def allowed(self, r: Cells) -> Mask:
        """[N] True where a rectangle is on the grid, large enough, and wholly on the face."""
        cells = len(self.heat) - 1
        fits = (r.min(axis=1) >= 0) & (r.max(axis=1) <= cells)
        fits &= (r[:, 2] - r[:, 0] >= self.least) & (r[:, 3] - r[:, 1] >= self.least)
        fits[fits] = _sums(self.blocked, r[fits]) == 0
        return fits

    def candidates(self) -> Cells:
        """[N,4] rectangles that may be used alone: all of them, or a regular subset if too many.

        A subset thins places and sizes alike but always has the least side among its sizes.
        """
        cells = len(self.heat) - 1
        longest = min(cells, self.budget // self.least)
        for stride in range(1, cells + 1):
            spans = np.array(
                [
                    (low, low + length)
                    for length in range(self.least, longest + 1, stride)
                    for low in range(0, cells - length + 1, stride)
                ],
                dtype=np.int64,
            ).reshape(-1, 2)
            if len(spans) ** 2 > _MAX_PRODUCTS:
                continue
            x, y = np.divmod(np.arange(len(spans) ** 2), max(len(spans), 1))
            r = np.stack([spans[x, 0], spans[y, 0], spans[x, 1], spans[y, 1]], axis=1)
            r = r[_areas(r) <= self.budget]
            r = r[self.allowed(r)]
            if len(r) <= _MAX_CANDIDATES:
                break
        if len(r) == 0 and self.least**2 <= self.budget:
            # Thinned places can all miss a narrow face; look everywhere for the least size.
            corner = np.indices((cells, cells)).reshape(2, -1).T
            r = np.concatenate([corner, corner + self.least], axis=1)
            r = r[self.allowed(r)]
        return r

    def best(self, count: int) -> Cells:
        """[n,4] the best set found, n <= count."""
        pool = self.candidates()
        if len(pool) == 0:
            return pool
        heats, areas = _sums(self.heat, pool), _areas(pool)
        low, high = 0.0, float((heats / areas).max())
        sets = [pool[[int(heats.argmax())]]]
        for _ in range(_BISECTIONS):
            price = (low + high) / 2
            chosen = self._at_price(pool, heats - price * areas, count)
            if _areas(chosen).sum() > self.budget:
                low = price
            else:
                high = price
                sets.append(chosen)
        # Starts that need no price, for heat too flat to set one: the best piece of each size.
        for part in range(1, count + 1):
            small = areas <= max(self.budget * part // count, self.least**2)
            sets.append(self._at_price(pool[small], heats[small], 1))
        fitting = [s for s in sets if len(s) and _areas(s).sum() <= self.budget]
        filled = [self._fill(s, pool, heats, areas, count) for s in fitting]
        ranked = {self._total(s): s for s in sorted(filled, key=self._total)}
        refined = [
            self._refine(self._fill(self._refine(ranked[total]), pool, heats, areas, count))
            for total in sorted(ranked, reverse=True)[:_STARTS]
        ]
        return max(refined, key=self._total)

    def _total(self, r: Cells) -> float:
        return float(_sums(self.heat, r).sum())

    def _at_price(self, pool: Cells, scores: Array, count: int) -> Cells:
        """Up to ``count`` disjoint rectangles of the pool with the largest sum of scores."""
        chosen: list[Cells] = []
        for sweep in range(_SWEEPS):
            before = [tuple(row) for row in chosen]
            for place in range(count):
                others = [row for i, row in enumerate(chosen) if i != place]
                free = np.ones(len(pool), dtype=bool)
                for row in others:
                    free &= _apart(pool, row)
                best = int(np.where(free, scores, -np.inf).argmax())
                if free[best] and scores[best] > 0:
                    others.insert(place, pool[best])
                chosen = others
            if sweep and before == [tuple(row) for row in chosen]:
                break
        return np.array(chosen, dtype=np.int64).reshape(-1, 4)

    def _fill(self, chosen: Cells, pool: Cells, heats: Array, areas: Cells, count: int) -> Cells:
        """Spend what is left of the area: more rectangles, then better ones for the same places."""
        places = [*range(len(chosen), count), *range(count)]
        for place in places:
            others = np.delete(chosen, place, axis=0) if place < len(chosen) else chosen
            free = areas <= self.budget - _areas(others).sum()
            for row in others:
                free &= _apart(pool, row)
            best = int(np.where(free, heats, -1.0).argmax())
            now = _sums(self.heat, chosen).sum()
            if free[best] and _sums(self.heat, others).sum() + heats[best] > now + 1e-12:
                chosen = np.concatenate([others, pool[best][None]])
        return chosen

    def _refine(self, chosen: Cells) -> Cells:
        """Move edges while the heat grows: one rectangle alone, or against an edge of another."""
        steps = range(-_REACH, _REACH + 1)
        moves = np.array(list(product(steps, repeat=4)), dtype=np.int64)
        single = moves[(moves != 0).sum(axis=1) <= 1]
        for _ in range(_MAX_MOVES):
            best, gain = chosen, 1e-9 * max(1.0, float(self.heat[-1, -1]))
            for i, j in product(range(len(chosen)), repeat=2):
                rest = np.delete(chosen, [i, j], axis=0)
                fixed = self._variants(chosen[j], single, rest) if i != j else chosen[[j]]
                options = self._variants(chosen[i], moves, rest)
                base = float(_sums(self.heat, chosen[np.unique([i, j])]).sum())
                room = self.budget - int(_areas(rest).sum())
                for other in fixed:
                    # i == j: the rectangle moves alone, and must not be kept apart from itself.
                    spent = int(_areas(other[None])[0]) if i != j else 0
                    held = float(_sums(self.heat, other[None])[0]) if i != j else 0.0
                    fits = _areas(options) <= room - spent
                    if i != j:
                        fits &= _apart(options, other)
                    if not fits.any():
                        continue
                    values = np.where(fits, _sums(self.heat, options), -np.inf)
                    top = int(values.argmax())
                    if values[top] + held - base > gain:
                        gain = float(values[top]) + held - base
                        pair = options[[top]] if i == j else np.stack([options[top], other])
                        best = np.concatenate([rest, pair])
            if best is chosen:
                break
            chosen = best
        return chosen

    def _variants(self, r: Cells, moves: Cells, rest: Cells) -> Cells:
        """[M,4] allowed rectangles one move away from ``r`` [4], apart from all of ``rest``."""
        options = r + moves
        options = options[self.allowed(options)]
        for row in rest:
            options = options[_apart(options, row)]
        return options
