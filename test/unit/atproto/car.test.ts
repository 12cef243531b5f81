/** Blocks of an untrusted CAR are found, checked on use, and bounded. */
import { describe, expect, it } from 'vitest';
import { type CarLimits, readCar, readCarInSteps } from '../../../src/atproto/car.ts';
import { Cid, cidBytes, cidOfBlock } from '../../../src/atproto/cid.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';
import { HandMadeCar } from '../../support/hand-made-car.ts';

const limits: CarLimits = { bytes: 1_000_000, blockBytes: 100, blocks: 1000 };
const root = cidOfBlock(Buffer.from('root'));

function carOf(...sections: Uint8Array[]): Buffer {
  const varint = (value: number): Buffer =>
    value < 128 ? Buffer.from([value]) : Buffer.concat([Buffer.from([(value & 127) | 128]), varint(value >>> 7)]);
  const header = encodeDagCbor({ version: 1, roots: [root] });
  return Buffer.concat([header, ...sections].flatMap((part) => [varint(part.length), part]));
}

function sectionOf(block: Uint8Array): Buffer {
  return Buffer.concat([cidOfBlock(block).bytes, block]);
}

/** A section whose CID has a made-up digest. */
function forgedSection(digestEnd: number): Buffer {
  const section = Buffer.alloc(cidBytes);
  section.set([1, 0x71, 0x12, 0x20]);
  section.writeUInt32BE(digestEnd, cidBytes - 4);
  return section;
}

describe('readCar', () => {
  it('finds blocks, even an empty one, and reports absent ones', () => {
    const blocks = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(100, 1)];
    const read = readCar(carOf(...blocks.map(sectionOf)), limits);
    if (!read.ok) throw new Error(read.reason);
    expect(read.value.root.text).toBe(root.text);
    for (const block of blocks) {
      const index = read.value.find(cidOfBlock(block));
      expect(read.value.source.subarray(read.value.startOf(index), read.value.endOf(index))).toEqual(block);
      expect(read.value.isIntact(index)).toBe(true);
    }
    expect(read.value.find(root)).toBe(-1);
  });

  it('skips blocks with CIDs of other kinds', () => {
    const other = Buffer.concat([Buffer.from([1, 0x70, 0x12, 0x20]), Buffer.alloc(32), Buffer.from('dag-pb')]);
    const read = readCar(carOf(other, sectionOf(Buffer.from('a'))), limits);
    expect(read.ok && read.value.count).toBe(1);
  });

  it('detects a block that does not match its CID', () => {
    const section = sectionOf(Buffer.from('a'));
    section[cidBytes] = 0x62;
    const read = readCar(carOf(section), limits);
    if (!read.ok) throw new Error(read.reason);
    expect(read.value.isIntact(read.value.find(cidOfBlock(Buffer.from('a'))))).toBe(false);
  });

  it('refuses a file of CIDs that are crafted to collide in its table', () => {
    const sections = Array.from({ length: 600 }, (_unused, index) => forgedSection(index));
    expect(readCar(carOf(...sections), limits)).toEqual({ ok: false, reason: 'car-index-crowded' });
    const few = readCar(carOf(...sections.slice(0, 200)), limits);
    if (!few.ok) throw new Error(few.reason);
    expect(few.value.find(new Cid(forgedSection(199)))).toBe(199);
  });

  it.each<[string, Buffer]>([
    ['car-too-large', Buffer.alloc(limits.bytes + 1)],
    ['car-block-too-large', carOf(sectionOf(Buffer.alloc(limits.blockBytes + 1)))],
    ['car-too-many-blocks', carOf(...new Array<Buffer>(limits.blocks + 1).fill(sectionOf(Buffer.from('a'))))],
    ['car-block-malformed', carOf(Buffer.alloc(cidBytes - 1))],
    ['car-block-malformed', Buffer.concat([carOf(), Buffer.from([0])])],
    ['car-truncated', Buffer.concat([carOf(), Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f])])],
    ['car-truncated', Buffer.concat([carOf(), Buffer.from([0x80])])],
    ['car-truncated', carOf(sectionOf(Buffer.from('ab'))).subarray(0, -1)],
    ['car-header-bad', Buffer.from([0])],
    ['car-header-bad', Buffer.concat([Buffer.from([1]), encodeDagCbor([])])],
    ['car-version-unknown', Buffer.concat([Buffer.from([10]), encodeDagCbor({ version: 2 })])],
    ['car-root-missing', Buffer.concat([Buffer.from([17]), encodeDagCbor({ version: 1, roots: [] })])],
  ])('refuses bytes as %s', (reason, bytes) => {
    expect(readCar(bytes, limits)).toEqual({ ok: false, reason });
  });
});

describe('a CAR of many blocks', () => {
  it('is read in steps as it is at once', () => {
    const car = new HandMadeCar();
    const root = car.add({ root: true });
    const block = Buffer.of(0xa0);
    const cids = Array.from({ length: 150_000 }, (_unused, index) => {
      const bytes = Buffer.from(root.bytes);
      bytes.writeUInt32BE(Math.imul(index, 0x9e3779b1) >>> 0, 4);
      return car.addBlock(block, new Cid(bytes));
    });
    const bytes = car.finish(root);
    const limits = { bytes: bytes.length, blockBytes: 100, blocks: 200_000 };
    const steps = readCarInSteps(bytes, limits);
    let pauses = 0;
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) pauses++;
    expect(pauses).toBeGreaterThanOrEqual(4);
    const atOnce = readCar(bytes, limits);
    if (!step.value.ok || !atOnce.ok) throw new Error('refused');
    expect(step.value.value.count).toBe(150_001);
    for (const cid of [root, cids[0]!, cids[77_777]!, cids.at(-1)!]) {
      expect(step.value.value.find(cid)).toBe(atOnce.value.find(cid));
      expect(step.value.value.find(cid)).toBeGreaterThanOrEqual(0);
    }
    const few = readCarInSteps(bytes, { ...limits, blocks: 100 });
    expect(few.next().value).toEqual({ ok: false, reason: 'car-too-many-blocks' });
  });
});
