"""What tests read out of a figure."""

from __future__ import annotations

ENTRY = {"dataset": "demo", "models": ["model_lmbda0.01"], "steps": [2000], "seeds": [0]}
STEPS = (0, 50, 100, 500, 1000, 2000)


def lines(axis):
    return {line.get_label(): line for line in axis.lines}


def mean(rows, column, **where):
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return rows.groupby("step")[column].mean()


def assert_legible(figure):
    """Every axis is labelled, labels and legends lie within the figure, and legends over no axes."""
    figure.canvas.draw()
    panels = [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]
    assert all(axis.get_xlabel() for axis in panels)
    for text in (text for axis in panels for text in (axis.xaxis.label, axis.yaxis.label, axis.title)):
        inside = figure.bbox.padded(1).count_contains(text.get_window_extent().corners()) == 4
        assert inside or not text.get_text(), text.get_text()
    for legend in [*figure.legends, *(axis.get_legend() for axis in panels)]:
        if legend is not None:
            box = legend.get_window_extent()
            assert figure.bbox.x0 - 1 <= box.x0 < box.x1 <= figure.bbox.x1 + 1
            assert figure.bbox.y0 - 1 <= box.y0
            assert not any(box.overlaps(axis.get_window_extent()) for axis in panels)
