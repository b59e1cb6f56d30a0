"""The link between host and board, sans-I/O; the specification is device_firmware/PROTOCOL.md.

``schema`` describes wire structures once; ``messages`` and the C header are made from it.
``packets`` turns bytes into packets and back; ``transfer`` decides what to send next.
"""
