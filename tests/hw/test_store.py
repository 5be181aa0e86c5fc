# amaranth: UnusedElaboratable=no
"""Learned words in a flash: whole sets, the newer one, whatever happens to the power."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace

import pytest
from bounded import simulate
from conftest import SEED, SOAK
from flash_model import FlashModel, applied, cut

from vle.compiler.circuit.kept import HEADER, Kept
from vle.compiler.circuit.registers import Register, RegisterMap
from vle.hw.standalone.parts import Flash
from vle.hw.standalone.store import Store, Task

PAGE, SECTOR, BASE = 32, 32, 256
KEPT = Kept(0xC0FFEE01, ((16, 4), (30, 1), (42, 5)), PAGE, SECTOR)
MAP = RegisterMap(KEPT.hash, 8, 8, 6, (Register("CTRL", 3), Register("STATUS", 4)), (), ())
FLASH = Flash(BASE, 1 << 12, SECTOR, PAGE)
COMMANDS = (Task.SAVE, Task.LOAD, Task.FORGET)
HOLE = 44  # an address of the chip where nothing is
NONE = b"\xff" * (1 << 12)


class Chip:
    """Registers and memories on the bus; busy for a while after it was halted."""

    def __init__(self, rng):
        self.words = {a: rng.getrandbits(32) for a in KEPT.addresses if a != HOLE}
        self.ctrl, self.busy, self.rng, self.stuck = 0, 0, rng, False

    def access(self, address, word):
        if address == 3:
            if word is not None:
                self.busy = 5 if word & 1 and not self.ctrl else 0
                self.ctrl = word
            return self.ctrl, 0
        if address == 4:
            self.busy = max(0, self.busy - 1)
            return int(not self.busy and not self.stuck), 0
        if address not in self.words:
            return self.rng.getrandbits(32), 1
        assert self.ctrl & 1, "memories of a chip that is not halted"
        assert not self.busy
        if word is not None:
            self.words[address] = word
        return self.words[address], 0

    async def __call__(self, ctx, bus):
        while True:
            await ctx.tick()
            reads, writes = ctx.get(bus.read), ctx.get(bus.write)
            if not (reads or writes) or self.rng.random() < 0.5:
                continue
            word = ctx.get(bus.w_data) if writes else None
            data, error = self.access(ctx.get(bus.addr), word)
            ctx.set(bus.r_data, data)
            ctx.set(bus.error, error)
            ctx.set(bus.done, 1)
            await ctx.tick()
            ctx.set(bus.done, 0)

    @property
    def set(self):
        return tuple(self.words.get(a, 0) for a in KEPT.addresses)


def same(words, others) -> bool:
    """Whether two sets agree, but for the hole."""
    hole = KEPT.addresses.index(HOLE)
    return [w for k, w in enumerate(words) if k != hole] == [
        w for k, w in enumerate(others) if k != hole
    ]


def run(content: bytearray, *tasks, chip=None, seed=SEED, spec=FLASH, **state):
    """Power up with this content, do some tasks; return flash, chip, and what the store says."""
    rng = random.Random(seed)
    chip, flash = chip or Chip(rng), FlashModel(content, page=PAGE, sector=SECTOR, **state)
    store, said = Store(KEPT, spec, MAP, 1_000_000, patience=9), []
    names = ("kept_set", "failed", "loaded", "slot", "sequence")

    async def use(ctx):
        ctx.set(store.granted, 1)
        await ctx.tick().until(~store.booting)
        said.append({name: ctx.get(getattr(store, name)) for name in names})
        for task in tasks:
            if callable(task):
                task(chip)
                continue
            ctx.set(store.command, task.value)
            await ctx.tick()
            ctx.set(store.command, 0)
            await ctx.tick().until(~store.busy)
            said.append({name: ctx.get(getattr(store, name)) for name in names})

    async def bus(ctx):
        await chip(ctx, store.bus)

    async def memory(ctx):
        await flash(ctx, store.pads)

    simulate(store, use, background=[bus, memory], cycles=400_000)
    return flash, chip, said


def flash_of(*sets):
    """A content with sets in both slots; None: erased."""
    content = bytearray(NONE)
    for slot, image in enumerate(sets):
        if image is not None:
            begin = BASE + slot * KEPT.slot
            content[begin : begin + len(image)] = image
    return content


def words_of(seed):
    rng = random.Random(seed)
    return [rng.getrandbits(32) for _ in range(KEPT.words)]


def test_a_set_is_read_as_it_was_written():
    words = words_of(1)
    image = KEPT.image(words, 7)
    assert KEPT.read(image) == (7, tuple(words))
    assert image[16:HEADER] == zlib.crc32(image[:16] + image[PAGE:]).to_bytes(4, "little")
    for k in [*range(HEADER), *range(PAGE, len(image), 7)]:
        broken = bytearray(image)
        broken[k] ^= 1 << k % 8
        assert KEPT.read(bytes(broken)) is None
    assert KEPT.slot == 96
    with pytest.raises(ValueError, match="words must be 10, not 1"):
        KEPT.image([1], 0)
    with pytest.raises(ValueError, match="two sets"):
        Store(KEPT, Flash(BASE, 320, SECTOR, PAGE), MAP, 1)


@pytest.mark.parametrize(
    ("sets", "newest"),
    [((None, None), None), ((3, None), 0), ((None, 9), 1), ((3, 4), 1), ((5, 4), 0)],
)
def test_the_newer_set_is_loaded_at_power_up(sets, newest):
    images = [None if n is None else KEPT.image(words_of(n), n) for n in sets]
    flash, chip, [said] = run(flash_of(*images))
    assert not flash.changes
    assert chip.ctrl == 0
    assert said["kept_set"] == said["loaded"] == (newest is not None)
    assert not said["failed"]
    if newest is not None:
        assert same(chip.set, words_of(sets[newest]))
        assert (said["slot"], said["sequence"]) == (newest, sets[newest])
    else:
        assert chip.set == Chip(random.Random(SEED)).set, "nothing was written"


@pytest.mark.parametrize("place", [5, 13, 17, PAGE + 39])
def test_a_set_with_a_wrong_bit_or_of_another_chip_is_none(place):
    images = [bytearray(KEPT.image(words_of(n), n)) for n in (1, 2)]
    images[1][place] ^= 0x10
    _, chip, [said] = run(flash_of(*images))
    assert same(chip.set, words_of(1))
    assert (said["slot"], said["sequence"]) == (0, 1)


def test_what_is_saved_is_what_comes_back():
    """Save, learn, save, learn, load; then the power goes and comes."""
    content, seen = bytearray(NONE), []

    def learn(chip):
        seen.append(chip.set)
        for address in chip.words:
            chip.words[address] = chip.rng.getrandbits(32)

    flash, chip, said = run(content, Task.SAVE, learn, Task.SAVE, learn, Task.LOAD)
    assert [row["sequence"] for row in said] == [0, 1, 2, 2]
    assert [row["slot"] for row in said[1:]] == [0, 1, 1]
    assert not any(row["failed"] for row in said)
    assert same(chip.set, seen[1])
    assert chip.ctrl == 0
    assert KEPT.newest(bytes(content), BASE).sequence == 2
    assert same(KEPT.newest(bytes(content), BASE).words, seen[1])
    touched = {address for name, address, _ in flash.changes}
    assert min(touched) == BASE
    assert max(touched) < BASE + 2 * KEPT.slot
    _, other, [again] = run(content, seed=SEED + 1)
    assert same(other.set, seen[1])
    assert again["loaded"]


def test_a_flash_that_is_still_erasing_is_waited_for():
    """The FPGA was loaded anew, the flash goes on with what was asked of it."""
    content = flash_of(KEPT.image(words_of(3), 3), None)
    flash, chip, said = run(content, Task.SAVE, asleep=False, busy=50)
    assert said[0] == {"kept_set": 1, "failed": 0, "loaded": 1, "slot": 0, "sequence": 3}
    assert same(chip.set, words_of(3))
    assert said[1]["sequence"] == 4
    assert min(address for _, address, _ in flash.changes) == BASE + KEPT.slot


def test_a_flash_that_stays_busy_is_left_alone():
    content = flash_of(None, KEPT.image(words_of(3), 3))
    before, fresh = bytes(content), Chip(random.Random(SEED)).set
    late = replace(FLASH, busy_s=0.003)
    flash, chip, said = run(content, *COMMANDS, spec=late, asleep=False, busy=1 << 30)
    assert [(row["failed"], row["kept_set"], row["loaded"]) for row in said] == 4 * [(1, 0, 0)]
    assert not flash.changes
    assert bytes(content) == before
    assert (chip.set, chip.ctrl) == (fresh, 0)
    with pytest.raises(ValueError, match="busy_s must be above 0 and below 60 s, not 0"):
        replace(FLASH, busy_s=0)


@pytest.mark.parametrize("slow", ["erase", "program"])
@pytest.mark.parametrize("task", [Task.SAVE, Task.FORGET])
def test_what_a_flash_does_not_get_done_has_failed(slow, task):
    content = flash_of(KEPT.image(words_of(3), 3), KEPT.image(words_of(4), 4))
    late = replace(FLASH, busy_s=0.003)
    _, chip, said = run(content, task, spec=late, slow=(slow,))
    fails = slow == "erase" or task == Task.SAVE
    assert (said[1]["failed"], said[1]["kept_set"]) == (fails, fails)
    assert chip.ctrl == 0, "it goes on"
    if fails:
        assert KEPT.newest(bytes(content), BASE).words == tuple(words_of(4))


def test_what_is_forgotten_does_not_come_back():
    content = flash_of(*(KEPT.image(words_of(n), n) for n in (4, 3)))
    _, chip, said = run(content, Task.FORGET, Task.LOAD)
    assert said[1]["kept_set"] == 0
    assert said[2]["failed"] == 1
    assert same(chip.set, words_of(4)), "the chip goes on with what it has"
    assert KEPT.newest(bytes(content), BASE) is None
    _, _, said = run(content, Task.SAVE)
    assert [row["kept_set"] for row in said] == [0, 1]


def test_a_chip_that_was_halted_stays_so_and_one_that_hangs_is_left():
    def halt(chip):
        chip.access(3, 1)
        chip.busy = 0

    def hang(chip):
        chip.access(3, 0)
        chip.stuck = True

    content = bytearray(NONE)
    _, chip, said = run(content, halt, Task.SAVE)
    assert chip.ctrl == 1
    assert not said[1]["failed"]
    old = KEPT.newest(bytes(content), BASE)
    _, chip, said = run(content, hang, Task.SAVE)
    assert said[1]["failed"]
    assert chip.ctrl == 0
    assert KEPT.newest(bytes(content), BASE) == old


def cases():
    """Changes that the store makes to a flash, before and after."""
    saves, forgets = ((None, None), (1, 2)), ((2, 1),)
    if SOAK:
        saves, forgets = (*saves, (1, None), (2, 1)), (*forgets, (1, 2))
    for task, befores in ((Task.SAVE, saves), (Task.FORGET, forgets)):
        for before in befores:
            content = flash_of(*(n and KEPT.image(words_of(n), n) for n in before))
            start = bytes(content)
            flash, chip, _ = run(content, task)
            yield task, start, flash.changes, chip.set


@pytest.fixture(scope="module")
def recorded():
    return list(cases())


def test_a_power_cut_at_any_byte_leaves_the_old_or_the_new_set(recorded):
    """All moments of all changes, each several times: a set is whole, or never was."""
    rng, trials, both = random.Random(SEED), 0, [0, 0]
    for task, start, changes, saved in recorded:
        old = KEPT.newest(start, BASE)
        for at in range(len(changes) + 1):
            for _ in range(200 if SOAK else 40):
                found = KEPT.newest(bytes(cut(start, changes, at, rng)), BASE)
                trials += 1
                if found == old:
                    both[0] += 1
                    continue
                both[1] += 1
                if task == Task.SAVE:
                    assert found is not None
                    assert same(found.words, saved)
                    assert found.sequence == (old.sequence if old else 0) + 1
                else:
                    assert found is None
    assert trials > 2000
    assert min(both) > 0


def test_the_circuit_picks_what_is_whole(recorded):
    """After power cuts, the boot loader against its definition; and it saves again from there."""
    rng = random.Random(SEED)
    for trial in range(300 if SOAK else 3):
        _, start, changes, _ = recorded[trial % len(recorded)]
        left = cut(start, changes, rng.randrange(len(changes) + 1), rng)
        want = KEPT.newest(bytes(left), BASE)
        _, chip, said = run(left, Task.SAVE, seed=trial)
        assert said[0]["loaded"] == (want is not None)
        assert said[1]["failed"] == 0
        found = KEPT.newest(bytes(left), BASE)
        assert same(found.words, chip.set)
        if want is not None:
            assert same(chip.set, want.words)
            assert found.sequence == want.sequence + 1


def test_a_save_over_the_newer_set_would_be_seen():
    """The check itself: where the newer set is erased, what is left is neither old nor new."""
    left = bytearray(flash_of(KEPT.image(words_of(1), 1), KEPT.image(words_of(2), 2)))
    assert KEPT.newest(bytes(left), BASE).sequence == 2
    applied(left, ("erase", BASE + KEPT.slot, KEPT.sector))
    assert KEPT.newest(bytes(left), BASE).sequence == 1


def test_a_header_before_its_words_is_no_set():
    words = words_of(5)
    old = flash_of(KEPT.image(words_of(1), 1), None)
    begin, image = BASE + KEPT.slot, KEPT.image(words, 2)
    order = [*range(HEADER), *range(PAGE, len(image))]
    changes = [("program", begin + k, image[k]) for k in order]
    left = bytearray(old)
    for change in changes[:-1]:
        applied(left, change)
    assert KEPT.newest(bytes(left), BASE).sequence == 1, "the CRC sees what is missing"
