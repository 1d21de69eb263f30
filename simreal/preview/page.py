"""The page of `simreal preview`: sampled worlds, how they move, and what is drawn."""

import copy

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.errors import UserError
from simreal.figure import WireFigure, wire_figure
from simreal.physics import MujocoPhysics
from simreal.physics.picture import Renderer
from simreal.preview.pictures import (
    ACROSS,
    command_curves,
    correlations,
    histograms,
    motion_curves,
    scatters,
    together,
    world_colours,
)
from simreal.preview.seen import held_out_sheets, sheets
from simreal.preview.terrain_picture import terrain_picture
from simreal.preview.worlds import SAMPLES, Preview, after_number
from simreal.randomization.randomizer import DrawnPart
from simreal.report import Card, Page, image_markup, wire_markup
from simreal.state import FloatArray

MOST_IN_FILM = 12
"""Robots in the moving picture; more would hide each other."""
UNUSUAL = 3
"""Values named below a picture."""


def preview_page(preview: Preview) -> Page:
    """Make the page."""
    page = Page(f"simreal preview: {preview.name}")
    experiment, worlds = preview.experiment, len(preview.seeds)
    page.text(
        f"Robot {experiment.robot}, task {experiment.task}: {len(preview.space.columns)} numbers are "
        f"drawn anew for every episode. The worlds below are the first {worlds} episodes of seed "
        f"{preview.seed}, as `simreal evaluate` would draw them, and `simreal train` where no schedule "
        "narrows the ranges at first."
    )
    if experiment.pins:
        held = ", ".join(f"{name} = {value:g}" for name, value in experiment.pins.items())
        page.text(f"Held: {held}.")
    _add_worlds(page, preview)
    _add_terrain(page, preview)
    if preview.env.contract.cameras:
        _add_images(page, preview)
    _add_response(page, preview)
    if preview.parts:
        _add_entries(page, preview)
        _add_draws(page, preview)
        _add_histograms(page, preview)
        _add_joint_entries(page, preview)
    if preview.schedule is not None:
        _add_schedule(page, preview)
    return page


def _add_worlds(page: Page, preview: Preview) -> None:
    page.heading("Sampled worlds")
    try:
        pictures = _rendered(preview)
        page.text("Each at the beginning of its episode, rendered by MuJoCo.", note=True)
    except UserError as error:
        pictures = _drawn(preview)
        reason = str(error).splitlines()[0].rstrip(".")
        page.text(f"Each at the beginning of its episode, as lines: {reason}.", note=True)
    page.cards(
        [
            Card(
                title=f"World {world}",
                colour=colour,
                picture=picture,
                lines=_remarks(preview, world),
                details=_details(preview, world),
            )
            for world, (colour, picture) in enumerate(
                zip(world_colours(len(pictures)), pictures, strict=True)
            )
        ]
    )


def _add_terrain(page: Page, preview: Preview) -> None:
    terrain = preview.env.terrain
    if terrain is not None:
        page.heading("Terrain")
        page.text(
            "From above, lit from the north-west. An episode begins in the middle of a tile.", note=True
        )
        page.picture(terrain_picture(terrain))


def _add_images(page: Page, preview: Preview) -> None:
    page.heading("What the policy sees")
    page.text(
        "The newest frame of each camera as the same episodes begin; world 0 at the top left.",
        note=True,
    )
    for name, picture in sheets(preview.env).items():
        page.image(picture, f"Camera {name}.")
    for name, picture in held_out_sheets(preview.env).items():
        page.image(picture, f"Camera {name} in the held-out visual world.")


def _rendered(preview: Preview) -> list[str]:
    physics = preview.env.physics
    assert isinstance(physics, MujocoPhysics)
    camera = _overview(physics.model)
    with Renderer(physics, for_people=True) as renderer:
        images = [renderer.render(world, camera, 640, 480) for world in range(physics.count)]
    return [image_markup(image) for image in _cropped(np.stack(images))]


def _cropped(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut (n, height, width, 3) pictures alike, to 4 : 3 around all that is not background."""
    height, width = images.shape[1:3]
    shown = (images != images[0, 0, 0]).any(axis=(0, 3))
    if not shown.any():
        return images
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    margin = height // 20
    wanted = max(np.ptp(rows) + 2 * margin, 0.75 * (np.ptp(columns) + 2 * margin))
    tall = min(height, int(wanted))
    wide = min(width, tall * 4 // 3)
    top = int(np.clip((rows[0] + rows[-1] - tall) // 2, 0, height - tall))
    left = int(np.clip((columns[0] + columns[-1] - wide) // 2, 0, width - wide))
    return images[:, top : top + tall, left : left + wide]


def _overview(model: mujoco.MjModel) -> str | None:
    """The model's first camera that stands still in the world, if there is one."""
    for camera in range(model.ncam):
        if model.cam_bodyid[camera] == 0:
            return str(model.camera(camera).name) or None
    return None


def _drawn(preview: Preview) -> list[str]:
    """The same without OpenGL, by lines."""
    physics = preview.env.physics
    assert isinstance(physics, MujocoPhysics)
    figures = []
    for world in range(physics.count):
        model = copy.copy(physics.model)
        data = mujoco.MjData(model)
        physics.copy_simulation(world, model, data)
        figures.append(wire_figure(model, data.qpos[None].copy()))
    together = WireFigure(np.concatenate([each.segments for each in figures]), figures[0].colours)
    return [wire_markup(together, world) for world in range(physics.count)]


def _remarks(preview: Preview, world: int) -> list[str]:
    """How far the world moves from the nominal one, and what is most unusual about it."""
    distance = preview.response.distance[world]
    joints = preview.env.contract.robot.joints
    moved = ", ".join(f"{j.name} {d:.2g} {j.unit}" for j, d in zip(joints, distance, strict=True))
    remarks = [f"Off nominal: {moved if np.isfinite(distance).all() else 'diverged'}"]
    away = np.abs(2.0 * _position(preview)[world] - 1.0) * preview.space.moved
    for column in np.argsort(-away, kind="stable")[:UNUSUAL]:
        if away[column] > 0:
            value, unit = preview.draws[world, column], preview.units[column]
            remarks.append(f"{preview.space.columns[column]} {value:.3g}{after_number(unit)}")
    return remarks


def _position(preview: Preview) -> FloatArray:
    """(worlds, columns) where each draw lies in its column's range, 0 to 1; in the middle if held."""
    low, high = _scaled(preview, preview.space.low), _scaled(preview, preview.space.high)
    width = high - low
    share = (_scaled(preview, preview.draws) - low) / np.where(width > 0, width, 1.0)
    return np.where(width > 0, share, 0.5)


def _scaled(preview: Preview, values: FloatArray) -> FloatArray:
    logarithmic = preview.space.logarithmic
    return np.where(logarithmic, np.log(np.where(logarithmic, values, 1.0)), values)


def _details(preview: Preview, world: int) -> list[tuple[str, str]]:
    seed = ("episode seed", str(preview.seeds[world]))
    named = zip(preview.space.columns, preview.units, preview.draws[world], strict=True)
    return [seed, *((name, f"{value:.6g}{after_number(unit)}") for name, unit, value in named)]


def _add_response(page: Page, preview: Preview) -> None:
    response = preview.response
    sampled, nominal = response.sampled, response.nominal
    page.heading("How differently they move")
    page.text(
        "All worlds from rest, under the same commands on all actuators at once: a step, then a chirp. "
        "Black is the robot on which nothing is randomized. Terminations of the task do not act."
    )
    page.picture(command_curves(preview))
    page.picture(motion_curves(preview))
    _add_distances(page, preview)
    page.text("The same in motion (drag to turn):")
    page.motion(together(sampled.figures[:MOST_IN_FILM], nominal.figures[0]), sampled.frame_rate, 2.5)


def _add_distances(page: Page, preview: Preview) -> None:
    distance = preview.response.distance
    finite = distance[np.isfinite(distance).all(axis=1)]
    if len(finite):
        spread = finite.mean(axis=0), finite.max(axis=0)
        page.table(
            ("root mean square off nominal", "mean of worlds", "farthest world"),
            [
                (joint.name, f"{mean:.3g} {joint.unit}", f"{most:.3g} {joint.unit}")
                for joint, mean, most in zip(preview.env.contract.robot.joints, *spread, strict=True)
            ],
        )
    if len(finite) < len(distance):
        page.text(f"{len(distance) - len(finite)} of {len(distance)} worlds left the finite numbers.")


def _add_entries(page: Page, preview: Preview) -> None:
    page.heading("What is drawn")
    header = ("entry", "of", "operation", "distribution", "unit", "as compiled", "becomes", "physical")
    page.wide_table(
        header,
        [
            [(cell, "") for cell in _entry(preview, part, element)]
            for part in preview.parts
            for element in range(len(part.default))
        ],
    )


def _entry(preview: Preview, part: DrawnPart, element: int) -> tuple[str, ...]:
    """What is drawn for one of an entry's bodies, joints, and so on."""
    name, unit = part.parameter.name, after_number(part.units[element])
    return (
        part.entry if part.entry == name else f"{part.entry}: {name}",
        part.parts[element] if part.parts else "",
        part.operation,
        _distribution(preview, part, part.columns.start + element),
        part.drawn_units[element],
        f"{part.default[element]:.4g}{unit}",
        _span(part.smallest[element], part.largest[element]) + unit,
        _bounds(part.parameter.lower, part.parameter.upper),
    )


def _distribution(preview: Preview, part: DrawnPart, column: int) -> str:
    low, high = preview.space.low[column], preview.space.high[column]
    if low == high:
        return f"held at {low:.4g}"
    return (
        f"jointly, {_span(low, high)}" if part.config.is_joint else part.config.distribution.describe()
    )


def _span(low: float, high: float) -> str:
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def _bounds(lower: float | None, upper: float | None) -> str:
    if lower is None:
        return "any" if upper is None else f"at most {upper:g}"
    return f"{lower:g} or more" if upper is None else f"{lower:g} to {upper:g}"


def _add_draws(page: Page, preview: Preview) -> None:
    page.heading("Drawn values")
    page.text(
        "Blue lies at the lower end of its range, orange at the upper, white in the middle.", note=True
    )
    header = ["world", *map(str, range(len(preview.seeds)))]
    shades = _position(preview).T
    rows = [
        [
            (preview.label(column), ""),
            *((f"{v:.3g}", _shade(share)) for v, share in zip(values, shades[column], strict=True)),
        ]
        for column, values in enumerate(preview.draws.T)
    ]
    page.wide_table(header, rows)


def _shade(share: float) -> str:
    """From blue over white to orange."""
    end = np.array([242, 160, 110] if share > 0.5 else [120, 175, 225])
    red, green, blue = np.round(255 + (end - 255) * min(1.0, abs(2.0 * share - 1.0))).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _add_histograms(page: Page, preview: Preview) -> None:
    space = preview.space
    drawn = np.flatnonzero(space.low < space.high)
    page.heading("Distributions")
    page.text(
        f"{SAMPLES:,} draws of each column. Dashed: the ends of its range; dotted: as in the model; "
        "ticks below: the sampled worlds."
        + (" Shaded: what the schedule begins with." if preview.schedule is not None else "")
    )
    outside = [
        space.columns[i] for i in drawn if not space.low[i] <= preview.nominal[i] <= space.high[i]
    ]
    if outside:
        page.text(f"The model itself lies outside of the range of {', '.join(outside)}.")
    for first in range(0, len(drawn), 3 * ACROSS):
        page.picture(histograms(preview, drawn[first : first + 3 * ACROSS].tolist()))
    held = [f"{space.columns[i]} = {space.low[i]:g}" for i in np.flatnonzero(space.low == space.high)]
    if held:
        page.text(f"Always the same: {', '.join(held)}.")


def _add_joint_entries(page: Page, preview: Preview) -> None:
    for entry, config in preview.experiment.randomization.items():
        columns = [
            column
            for part in preview.parts
            if part.entry == entry
            for column in range(part.columns.start, part.columns.stop)
            if preview.space.low[column] < preview.space.high[column]
        ]
        if config.is_joint and len(columns) > 1:
            page.heading(f"Drawn together: {entry}")
            page.text(f"{config.distribution.describe()}. Rank correlations, and the strongest pairs.")
            page.picture(correlations(preview, columns))
            page.picture(scatters(preview, columns))


def _add_schedule(page: Page, preview: Preview) -> None:
    assert preview.schedule is not None
    low, high = preview.schedule.ranges()
    space = preview.space
    page.heading(f"Schedule: {preview.schedule.type}")
    page.text("In training the ranges begin narrower and move within the configured ones.")
    page.table(
        ("", "begins with", "at most", "model"),
        [
            (
                preview.label(int(i)),
                _span(low[i], high[i]),
                _span(space.low[i], space.high[i]),
                f"{preview.nominal[i]:.4g}",
            )
            for i in np.flatnonzero(space.moved)
        ],
    )
    unmoved = [space.columns[i] for i in np.flatnonzero(~space.moved)]
    if unmoved:
        page.text(f"It does not move {', '.join(unmoved)}.")
