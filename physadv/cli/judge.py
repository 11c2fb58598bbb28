"""evaluate: its commands, gathered."""

from physadv.cli.captures import captures
from physadv.cli.digital import digital
from physadv.cli.drive_by import drive_by
from physadv.cli.evaluate import app
from physadv.cli.objects import objects

app.command("objects")(objects)
app.command("captures")(captures)
app.command("digital")(digital)
app.command("drive-by")(drive_by)
