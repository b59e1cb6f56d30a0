"""The surface of pyjoulescope_driver.Driver, with instruments that a test speaks for."""

from __future__ import annotations

import numpy as np

PATH = "u/js220/002557"
TICKS_HZ = 2_000_000


class FakeDriver:
    """Publish, subscribe, open, device_paths; ``refuse`` maps a call's first argument to an error."""

    def __init__(self, paths=(PATH,)):
        self.paths = list(paths)
        self.values = {"c/fw/version": 0x01020003, "s/fpga/version": 0x01010002}
        self.refuse = {}
        self.subscribers, self.published, self.calls = {}, {}, []
        self.finalized = 0

    def _do(self, name, topic=None):
        self.calls.append((name, topic))
        for key in (name, topic):
            if key in self.refuse:
                raise self.refuse[key]

    def device_paths(self, timeout=None):
        self._do("device_paths")
        return self.paths

    def open(self, device_prefix, mode=None, timeout=None):
        self._do("open", device_prefix)
        assert mode == "defaults"

    def close(self, device_prefix, timeout=None):
        self._do("close", device_prefix)

    def publish(self, topic, value, timeout=None):
        self._do("publish", topic)
        self.published[topic] = value

    def query(self, topic, timeout=None):
        self._do("query", topic)
        return self.values[topic.split("/", 3)[3]]

    def subscribe(self, topic, flags, fn, timeout=None):
        self._do("subscribe", topic)
        assert flags == ["pub"]
        self.subscribers.setdefault(topic, []).append(fn)

    def unsubscribe(self, topic, fn, timeout=None):
        self._do("unsubscribe", topic)
        self.subscribers[topic].remove(fn)

    def finalize(self, timeout=None):
        self.finalized += 1

    def say(self, topic, value):
        """As the driver's thread does."""
        for fn in list(self.subscribers.get(topic, ())):
            fn(topic, value)


def message(data, sample_id, decimate, rate_hz=TICKS_HZ):
    return {
        "data": data,
        "sample_id": sample_id,
        "decimate_factor": decimate,
        "sample_rate": rate_hz,
        "utc": int(sample_id * 2**30 / rate_hz),
        "field_id": 1,
        "index": 0,
        "time_map": {"offset_time": 5, "offset_counter": 7, "counter_rate": float(rate_hz)},
    }


class Scene:
    """What an instrument measures, as arrays over its ticks; sent in pieces of any size."""

    def __init__(self, seed=1, n=40_000, gpi=("0", "1"), gpi_decimate=1, first_tick=123_456):
        rng = np.random.default_rng(seed)
        self.n, self.first_tick, self.gpi_decimate = n, first_tick, gpi_decimate
        self.i = (5e-3 + 1e-3 * rng.standard_normal(n)).astype(np.float32)
        self.v = (3.3 + 1e-3 * rng.standard_normal(n)).astype(np.float32)
        ticks = 2 * n // gpi_decimate
        self.gpi = {
            g: np.repeat(rng.integers(0, 2, -(-ticks // 97)), 97)[:ticks].astype(np.uint8)
            for g in gpi
        }

    def logic(self):
        """The inputs on the grid of the current: the tick that a sample begins with."""
        bits = [self.gpi[g][:: 2 // self.gpi_decimate] for g in self.gpi]
        return sum(level << bit for bit, level in enumerate(bits)).astype(np.uint8)

    def messages(self, rng, skip=()):
        """(topic, message) in an order in which no stream runs ahead by more than 5000 samples.

        skip: (stream, first sample, samples) that are lost on the way, of that stream's samples.
        """
        streams = {"i": (self.i, 2, 1), "v": (self.v, 2, 1)}
        for g, bits in self.gpi.items():
            streams[f"gpi/{g}"] = (bits, self.gpi_decimate, 8)
        at = dict.fromkeys(streams, 0)
        while True:
            left = {s: at[s] * streams[s][1] for s in streams if at[s] < len(streams[s][0])}
            if not left:
                return
            last = min(left.values())
            name = rng.choice([s for s in left if left[s] <= last + 10_000])
            data, decimate, unit = streams[name]
            size = int(rng.integers(1, 400)) * 8
            low, high = at[name], min(at[name] + size, len(data))
            at[name] = high
            for begin, end in kept(low, high, [s[1:] for s in skip if s[0] == name], unit):
                part = data[begin:end]
                if unit == 8:
                    part = np.packbits(part, bitorder="little")
                yield f"s/{name}/!data", message(part, self.first_tick + begin * decimate, decimate)


def kept(begin, end, holes, unit):
    """Parts of a range outside of holes."""
    for first, samples in holes:
        assert first % unit == samples % unit == 0
        if begin < first + samples and end > first:
            yield from kept(begin, first, holes, unit) if begin < first else ()
            yield from kept(first + samples, end, holes, unit) if end > first + samples else ()
            return
    if begin < end:
        yield begin, end
