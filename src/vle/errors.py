"""The errors that users of any part can catch."""

from __future__ import annotations


class VleError(Exception):
    """Root of all errors that this project defines."""


class CompileError(VleError):
    """A model cannot be mapped to the chip.

    Parameters
    ----------
    message
        What is wrong and which rule it breaks.
    file
        The file that the model came from.
    node
        The node of the model, as ``name (operator)``.
    """

    def __init__(self, message: str, *, file: str | None = None, node: str | None = None) -> None:
        super().__init__(message)
        self.message, self.file, self.node = message, file, node

    def __str__(self) -> str:
        where = [part for part in (self.file, self.node and f"node {self.node}") if part]
        return ": ".join([*where, self.message])


class TransportError(VleError):
    """The connection to a device failed."""


class DeviceError(VleError):
    """A device answered, but not as it should.

    Parameters
    ----------
    message
        What is wrong.
    register
        Name of the register concerned.
    address
        Its byte address.
    """

    def __init__(
        self, message: str, *, register: str | None = None, address: int | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.register, self.address = message, register, address

    def __str__(self) -> str:
        if self.register is None and self.address is None:
            return self.message
        at = "" if self.address is None else f" at 0x{self.address:x}"
        return f"{self.register or 'register'}{at}: {self.message}"


class DivergenceError(VleError):
    """Learning on a device has run away; a snapshot from before can be restored.

    Parameters
    ----------
    message
        How it shows.
    layer
        Name of the layer in which it shows.
    output
        What the device has answered so far.
    """

    def __init__(self, message: str, *, layer: str, output: object = None) -> None:
        super().__init__(message)
        self.message, self.layer, self.output = message, layer, output

    def __str__(self) -> str:
        return f"{self.layer} diverges: {self.message}"
