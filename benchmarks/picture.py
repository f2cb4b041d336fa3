"""A picture of skill, generation by generation."""

import math
from collections.abc import Mapping, Sequence


def generations_picture(generations: Mapping[str, Sequence[float]]) -> str:
    """Draw the skill of each generation, trained in either way, as an SVG."""
    width, height, left, bottom = 760, 360, 70, 50
    count = max(map(len, generations.values()))
    lowest = math.floor(min(map(min, generations.values())) * 1000) / 1000

    def x(number: float) -> float:
        return left + (width - left - 20) * number / max(count - 1, 1)

    def y(skill: float) -> float:
        return 20 + (height - bottom - 20) * (1 - skill) / (1 - lowest)

    drawn = []
    for line in range(5):
        skill = lowest + (1 - lowest) * line / 4
        drawn += [
            f'<path d="M{left} {y(skill):.1f}H{width - 20}" stroke="#ddd"/>',
            f'<text x="{left - 8}" y="{y(skill) + 4:.1f}" text-anchor="end">{skill:.4f}</text>',
        ]
    for number in range(0, count, max(count // 12, 1)):
        drawn.append(
            f'<text x="{x(number):.1f}" y="{height - 30}" text-anchor="middle">{number}</text>'
        )
    for place, (color, (kind, skills)) in enumerate(
        zip(("#c44e52", "#4c72b0"), generations.items(), strict=False)
    ):
        points = " ".join(f"{x(number):.1f},{y(skill):.1f}" for number, skill in enumerate(skills))
        drawn += [
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>',
            f'<text x="{width - 30}" y="{height - 95 + 20 * place}" text-anchor="end" '
            f'fill="{color}">{kind}</text>',
        ]
    drawn.append(f'<text x="{width / 2}" y="{height - 8}" text-anchor="middle">generation</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="13">'
        f'<rect width="{width}" height="{height}" fill="white"/>{"".join(drawn)}</svg>\n'
    )
