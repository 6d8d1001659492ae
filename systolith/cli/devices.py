from typing import Annotated

import typer

from systolith.cli.options import Baud

__all__ = ["devices"]


def devices(
    port: Annotated[list[str] | None, typer.Option(
        "--on", metavar="PORT", help="A port to try, such as that of a virtual board; can be "
        "repeated. By default, all serial ports.")] = None,
    baud: Baud = None,
) -> None:
    """List serial ports and the boards that answer on them."""
    from systolith.cli.progress import progress
    from systolith.cli.show import console
    from systolith.runtime.discovery import scan

    with progress() as step:
        step("asking each port for a board")
        found = scan([(name, "") for name in port] if port else None, baud)
    if not found:
        console.print("there is no serial port: plug the board in, or simulate one with "
                      "`systolith board`")
        raise typer.Exit(1)
    for each in found:
        title = f"{each.port} ({each.description})" if each.description else each.port
        console.print(f"{title}: {each.text}", style="bold" if each.board else "", soft_wrap=True)
    if not any(each.board for each in found):
        raise typer.Exit(1)
