"""Talk to one board: every request of the link as a blocking call with a deadline.

``protocol.transfer`` decides what is sent; this module moves bytes and watches the clock.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hilbench.board.conversation import Conversation
from hilbench.board.refusals import explain_refusal
from hilbench.board.results import Batches
from hilbench.errors import (
    BoardSilentError,
    DeviceError,
    LinkError,
    ModelTooLargeError,
    UsageError,
    VectorError,
)
from hilbench.interfaces import Link, MemoryProbe
from hilbench.protocol.jobs import (
    SLOWEST_HASH_BYTES_PER_S,
    Job,
    ReadJob,
    Request,
    RunJob,
    WriteJob,
)
from hilbench.protocol.messages import (
    ANY_MARKER,
    Echo,
    EchoReply,
    Hello,
    HelloReply,
    Idle,
    IdleDone,
    LinkStats,
    LinkStatsReply,
    Load,
    Loaded,
    Memory,
    MemoryReply,
    Region,
    Reset,
    Run,
    RunFlag,
)
from hilbench.protocol.packets import Decoder
from hilbench.protocol.transfer import Transfer
from hilbench.records import LinkFigures, MemoryFigures, RunResult, Timeouts

JobT = TypeVar("JobT", bound=Job)
_ECHO_BYTES = 32  # sent at hello() to measure the round trip
_ECHOES = 3
_TOKENS = 0xFFFF
# Asking a board that still runs spoils the run; not asking when RUN_DONE was lost only takes time.
_RUN_PATIENCE = 0.75


def _random_token() -> int:
    return 1 + secrets.randbelow(_TOKENS)


class BoardClient:
    """The host's end of the link to one board. Opens nothing; owns ``link`` once given.

    Call ``hello()`` first, ``load()`` before ``run()``. Every method that talks to the board raises

    - BoardError: silent past its deadline, reset itself, or taken over by another session;
    - DeviceError: the firmware refused the request, with its typed code;
    - LinkError (ProtocolError): bytes do not get through, or break the protocol.

    After an error the session may be in any state; ``reset()`` or ``hello()`` start a new one.

    Args:
        link: an open byte pipe.
        board_id: for error sentences.
        timeouts: ``hello_s``, ``reply_s`` (without progress) and ``run_s`` (one RUN) are used.
        baud: line rate in bits per second, for retransmission timeouts only.
        clock: seconds, monotonic.
        token: makes session tokens and first sequence numbers, 1 to 65535.
    """

    def __init__(
        self,
        link: Link,
        board_id: str,
        timeouts: Timeouts,
        *,
        baud: int,
        clock: Callable[[], float] = time.monotonic,
        token: Callable[[], int] = _random_token,
    ) -> None:
        self._link = link
        self._id = board_id
        self._timeouts = timeouts
        self._baud = baud
        self._clock = clock
        self._token = token
        self._decoder = Decoder()
        self._conversation: Conversation | None = None
        self._hello: HelloReply | None = None
        self._loaded: Loaded | None = None
        self._model_sha256: bytes | None = None
        self._profile_vector: bytes | None = None
        self._damaged_before = 0

    # -- session --------------------------------------------------------------------------------

    def hello(self) -> HelloReply:
        """Start a session: new token, HELLO until the board answers, round trip measured by ECHO.

        Boot chatter and the HELLO that a board sends by itself after a reset are passed over.

        Raises:
            BoardSilentError: no HELLO within ``hello_s``; counts what was heard instead.
        """
        self._loaded = None
        self._model_sha256 = self._profile_vector = None
        self._damaged_before = self._decoder.bad_packets
        noise_before = self._decoder.noise_bytes
        self._conversation = None
        transfer = Transfer(
            self._id,
            self._token(),
            baud=self._baud,
            run_patience_s=_RUN_PATIENCE * self._timeouts.run_s,
            first_sequence=self._token(),
            decoder=self._decoder,
        )
        talk = Conversation(self._link, transfer, self._timeouts, self._clock)
        request = Request(Hello())
        transfer.submit(request)
        if not talk.step_until(lambda: request.done, self._timeouts.hello_s):
            noise = self._decoder.noise_bytes - noise_before
            raise BoardSilentError(
                f"board {self._id}: no HELLO within {self._timeouts.hello_s:g} s; heard "
                f"{talk.bytes_received} bytes, of them {noise} in damaged packets, and "
                f"{transfer.foreign_packets} packets of other sessions; check port, baud rate "
                f"and that hilbench firmware is flashed, then reset the board"
            )
        reply = cast("HelloReply", request.reply)
        transfer.negotiate(reply)
        self._conversation, self._hello = talk, reply
        self._model_sha256 = reply.model_sha256 if reply.model_loaded else None
        for _ in range(_ECHOES):
            self.echo(bytes(_ECHO_BYTES))
        return reply

    def reset(self) -> HelloReply:
        """Reset the board, wait for its boot, start a new session.

        Raises:
            BoardSilentError: no HELLO within ``hello_s`` after the reset.
        """
        talk = self._session()
        boots = talk.transfer.boot_hellos
        self._do(Request(Reset()))
        # Its own HELLO may be lost on the way; then hello() asks.
        talk.step_until(lambda: talk.transfer.boot_hellos > boots, self._timeouts.hello_s / 2)
        return self.hello()

    def close(self) -> None:
        """Close the link; may be called twice."""
        self._link.close()

    # -- requests -------------------------------------------------------------------------------

    def load(
        self,
        data: bytes,
        sha256: bytes,
        probe: MemoryProbe | None = None,
        *,
        resident: bool = False,
    ) -> Loaded:
        """Bring a model into the board's memory and load it.

        The transfer is left out when HELLO (or an earlier ``load``) says that the model is there;
        the board hashes it again in any case.

        Args:
            data: the plan.
            sha256: 32 bytes, of ``data``.
            probe: writes memory directly instead of the link.
            resident: the plan is part of the flashed image (``board.resident``): nothing is sent.

        Returns:
            Loaded: input, output and arena bytes, operators, and how many vectors fit (slots).

        Raises:
            ModelTooLargeError: with bytes needed and available.
        """
        talk, hello = self._session(), self.identity
        if self._model_sha256 != sha256 and not resident:
            if len(data) > hello.pool_bytes:
                raise ModelTooLargeError(
                    f"board {self._id}: the model alone needs {len(data)} bytes, "
                    f"{hello.pool_bytes} bytes are available; choose a smaller variant "
                    f"or another board"
                )
            self._loaded = self._model_sha256 = None
            if probe is None:
                self.write(Region.POOL, 0, data)
            else:
                probe.write_memory(hello.pool_address, data)
        talk.transfer.forget_model()
        load = Request(Load(len(data), sha256), work_s=len(data) / SLOWEST_HASH_BYTES_PER_S)
        try:
            self._loaded = cast("Loaded", self._do(load).reply)
        except DeviceError as error:
            raise explain_refusal(self._id, error, hello) from error
        self._model_sha256 = sha256
        self._profile_vector = None
        return self._loaded

    def run(
        self,
        vectors: bytes | NDArray[np.uint8],
        *,
        warm_up: int = 0,
        iterations: int = 1,
        flags: int = 0,
        want_ticks: bool = True,
        want_outputs: bool = True,
        on_progress: Callable[[int], None] | None = None,
        batch: int | None = None,
    ) -> RunResult:
        """Time ``iterations`` inferences of every vector, in as many RUNs as memory asks for.

        A batch is as many vectors as fit into the board's slots and, with ``want_ticks``, whose
        ticks fit into its buffer. While outputs of a batch come in, inputs of the next go out; the
        line is silent while the board computes. On a board without slots every inference is a RUN
        of its own, with its input sent again.

        Args:
            vectors: raw input bytes, uint8 [n, input_bytes] or n * input_bytes bytes.
            warm_up: untimed inferences before each batch.
            iterations: timed inferences of every vector.
            flags: RunFlag without the PUSH ones.
            want_ticks: fetch the ticks of single inferences.
            want_outputs: fetch the last output of every vector.
            on_progress: called with the number of vectors done so far, after every batch.
            batch: at most this many vectors in a RUN, to see progress more often.

        Returns:
            RunResult: ticks uint32 [inferences] in the order of the device: batch by batch, in a
            batch vector by vector, of a vector iteration by iteration; empty when they did not fit
            the board's buffer or were not wanted. Sums, minimum and maximum over all batches;
            window_ticks, too: how long the marker was high.
            outputs uint8 [n, output_bytes] or None. outputs_equal is about all iterations.

        Raises:
            VectorError: the vectors' size is not the model's, or there are none.
        """
        loaded, hello = self._model(), self.identity
        rows = self._rows(vectors, loaded.input_bytes)
        if iterations < 1 or warm_up < 0:
            raise UsageError(
                f"board {self._id}: warm_up = {warm_up} and iterations = {iterations}; "
                f"a run needs warm_up >= 0 and iterations >= 1"
            )
        if want_outputs:
            flags |= RunFlag.PUSH_OUTPUTS
        ticks_fit = hello.ticks_capacity >= iterations
        if want_ticks and ticks_fit:
            flags |= RunFlag.PUSH_TICKS
        results = Batches(len(rows), loaded.output_bytes)

        def progress() -> None:
            if on_progress is not None:
                on_progress(results.vectors)

        def finished(job: RunJob) -> None:
            results.add(job)
            progress()

        if loaded.slots == 0:
            for row in rows:
                warm = warm_up if results.vectors == 0 else 0
                jobs = self._run_direct(row, warm, iterations, flags)
                results.add_vector(list(jobs), warm)
                progress()
        else:
            size = min(loaded.slots, batch or loaded.slots)
            if want_ticks and ticks_fit:
                size = min(size, hello.ticks_capacity // iterations)
            self._run_batches(rows, size, Run(0, 0, warm_up, iterations, flags, 0), finished)
        self._profile_vector = rows[0].tobytes()
        return results.total(want_outputs=want_outputs)

    def profile(self, iterations: int = 1) -> list[int]:
        """Return ticks per operator, summed over ``iterations`` inferences of one vector.

        The vector is the first of the last ``run()``.

        Raises:
            UsageError: no ``run()`` since ``load()``.
        """
        loaded = self._model()
        if self._profile_vector is None:
            raise UsageError(f"board {self._id}: profile needs an input; call run() first")
        direct = loaded.slots == 0  # then one inference a RUN
        sums = np.zeros(loaded.operators, np.uint64)
        for _ in range(iterations if direct else 1):
            run = Run(0, 1, 0, 1 if direct else iterations, RunFlag.PROFILE, 0)
            self._do(RunJob(run, self._profile_vector, 0, restores=not direct))  # never cold
            raw = self.read(Region.PROFILE, 0, 8 * loaded.operators)
            sums += np.frombuffer(raw, "<u8")
        return [int(ticks) for ticks in sums]

    def histogram(self) -> NDArray[np.uint32]:
        """Return uint32 [64]: half-octave counts of the last RUN's ticks (its last batch)."""
        return np.frombuffer(self.read(Region.HISTOGRAM, 0, 256), "<u4").astype(np.uint32)

    def memory(self) -> MemoryFigures:
        """Return the board's memory figures in bytes; the stack's is a lower bound (painting)."""
        m = cast("MemoryReply", self._do(Request(Memory())).reply)
        return MemoryFigures(
            m.stack_bytes, m.stack_used_bytes, m.model_bytes, m.arena_bytes, m.vector_bytes
        )

    def idle(self, duration_us: int, marker: bool = False) -> int:
        """Let the board sleep; return how many ticks it slept by its own counter."""
        request = Request(Idle(duration_us, int(marker)), work_s=duration_us * 2e-6)
        return cast("IdleDone", self._do(request).reply).ticks

    def echo(self, data: bytes) -> None:
        """Send bytes there and back.

        Raises:
            LinkError: other bytes came back.
        """
        reply = cast("EchoReply", self._do(Request(Echo(data))).reply)
        if reply.data != data:
            raise LinkError(
                f"board {self._id}: ECHO of {len(data)} bytes came back as other bytes with a good "
                f"CRC-32; rebuild and flash the firmware (make firmware)"
            )

    def write(self, region: Region, offset: int, data: bytes) -> None:
        """Write bytes to a region, windowed. Writing POOL unloads the model."""
        if region == Region.POOL:
            self._loaded = self._model_sha256 = None
        self._do(WriteJob(region, offset, data))

    def read(self, region: Region, offset: int, length: int) -> bytes:
        """Read ``length`` bytes of a region."""
        job = ReadJob(region, offset, length)
        self._do(job)
        return bytes(job.buffer)

    def link_figures(self) -> LinkFigures:
        """Return what the session cost on the wire so far; ``bad_packets_board`` since reset."""
        talk = self._session()
        stats = cast("LinkStatsReply", self._do(Request(LinkStats())).reply)
        return LinkFigures(
            bytes_sent=talk.bytes_sent,
            bytes_received=talk.bytes_received,
            retransmitted_packets=talk.transfer.retransmitted_packets,
            bad_packets_host=self._decoder.bad_packets - self._damaged_before,
            bad_packets_board=stats.bad_packets,
            runs_repeated=talk.transfer.runs_repeated,
        )

    # -- state ----------------------------------------------------------------------------------

    @property
    def identity(self) -> HelloReply:
        """The last HELLO_REPLY.

        Raises:
            UsageError: no ``hello()`` yet.
        """
        if self._hello is None:
            raise UsageError(f"board {self._id}: no session; call hello() first")
        return self._hello

    @property
    def slots(self) -> int:
        """Vectors that fit on the board beside the model; 0: one inference a RUN.

        Raises:
            UsageError: no ``load()`` yet.
        """
        return self._model().slots

    @property
    def log(self) -> Sequence[tuple[int, str]]:
        """The firmware's last LOG texts of this session as (level, text)."""
        return tuple(self._conversation.transfer.logs) if self._conversation else ()

    def _session(self) -> Conversation:
        if self._conversation is None:
            raise UsageError(f"board {self._id}: no session; call hello() first")
        return self._conversation

    def _model(self) -> Loaded:
        if self._loaded is None:
            raise UsageError(f"board {self._id}: no model is loaded; call load() first")
        return self._loaded

    def _rows(self, vectors: bytes | NDArray[np.uint8], input_bytes: int) -> NDArray[np.uint8]:
        array = np.frombuffer(vectors, np.uint8) if isinstance(vectors, bytes) else vectors
        if array.dtype != np.uint8 or array.size == 0 or array.size % input_bytes:
            raise VectorError(
                f"board {self._id}: got {array.size} {array.dtype} values as vectors, the loaded "
                f"model takes {input_bytes} uint8 bytes each; quantise them for this model"
            )
        return np.ascontiguousarray(array).reshape(-1, input_bytes)

    # -- runs -----------------------------------------------------------------------------------

    def _run_batches(
        self, rows: NDArray[np.uint8], size: int, run: Run, progress: Callable[[RunJob], None]
    ) -> None:
        talk, output_bytes = self._session(), self._model().output_bytes
        before: RunJob | None = None
        for at in range(0, len(rows), size):
            batch = rows[at : at + size]
            job = RunJob(replace(run, slots=len(batch)), batch.tobytes(), output_bytes)
            talk.transfer.submit(job)
            if before is not None:  # its outputs come in while this one's inputs go out
                talk.drive(before, lambda job=before: job.done)  # type: ignore[misc]
                progress(before)
            talk.drive(job, lambda job=job: job.ran)  # type: ignore[misc]
            before = job
        if before is not None:
            talk.drive(before, lambda: before.done)
            progress(before)

    def _run_direct(
        self, row: NDArray[np.uint8], warm_up: int, iterations: int, flags: int
    ) -> Iterator[RunJob]:
        """Yield one RUN for each inference, and one more for a cold one: it uses up the input.

        As on other boards the marker shows timed inferences only.
        """
        done = 0
        while done < warm_up + iterations:
            run = Run(0, 1, 0, 1, flags & ~ANY_MARKER if done < warm_up else flags, 0)
            job = RunJob(run, row.tobytes(), self._model().output_bytes, restores=False)
            yield self._do(job)
            done += job.inferences_done

    def _do(self, job: JobT) -> JobT:
        return self._session().do(job)
