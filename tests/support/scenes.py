"""Scenes of the synthetic world: shapes with a sign, and a chart."""

from benchmarks.world.scene import Scene, Thing

SCENE = Scene(
    (
        Thing("shape", "red", 0, 1, shape="circle", size="small"),
        Thing("sign", "blue", 2, 3, word="STOP"),
        Thing("shape", "green", 3, 0, shape="heart", size="large"),
    )
)
CHART = Scene((Thing("bar", "red", 0, 0, value=3), Thing("bar", "black", 0, 2, value=7)))
