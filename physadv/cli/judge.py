"""evaluate: its commands, gathered."""

from physadv.cli.evaluate import app
from physadv.cli.objects import objects

app.command("objects")(objects)
