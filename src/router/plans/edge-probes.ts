/**
 * Probes of outgoing edges, each in the slot of the edge's owner, in one message for each node.
 *
 * "Does A block B" is asked in A's slot, "does B block A" in B's. DIDs stay bytes of the request.
 */
import { probedEdges } from '../../atproto/edge-kind.ts';
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { readVarint, varintEnd } from '../../base/varint.ts';
import { copyBytes } from '../../proto/fields.ts';
import { wireType } from '../../proto/message-decoder.ts';
import {
  type DidRanges,
  type EdgeProbe,
  encodeProbes,
  openProbesAnswer,
  privateBit,
  type RawLists,
  readSubscriptions,
  valueBits,
} from '../../wire/edge-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { whenThere } from '../plan/at-once.ts';
import type { FanOut } from '../plan/fan-out.ts';
import { nodeOfDid } from '../plan/slot-finder.ts';

/** The part of an edge's URI between DID and rkey. */
const pathByKind: { readonly [bit: number]: Buffer } = Object.fromEntries(
  probedEdges.map((edge) => [edge.probeBit, Buffer.from(`/${edge.collection}/`)]),
);
const uriHead = Buffer.from('at://');

/** The message to one node. */
type NodeProbes = {
  readonly node: number;
  /** The ids of the DIDs that the message lists. */
  readonly listed: number[];
  /** By id of a DID: its index in `listed`, or -1. */
  readonly indexOf: Int32Array;
  readonly probes: EdgeProbe[];
  readonly probeIds: number[];
};

function idOf({ listed }: NodeProbes, index: number, reader: ByteReader): number {
  return listed[index] ?? reader.fail('subscriptions of a DID that is not listed');
}

/** The lists to which the DID with this id subscribes, of the kind of one bit. */
export type ListSubscriptions = { readonly did: number; readonly bit: number; readonly lists: RawLists };

/** Collects DIDs, then probes; sends them once; then writes the URIs of the edges found. */
export class EdgeProbes {
  readonly #fanOut: FanOut;
  readonly #source: Buffer;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  /** By id of a DID; -1 for a malformed one. */
  readonly #nodes: number[] = [];
  readonly #batchByNode: (NodeProbes | undefined)[] = [];
  /** By probe: the id of a DID, the kinds asked for, those found, where their values are. */
  readonly #owners: number[] = [];
  readonly #asked: number[] = [];
  readonly #found: number[] = [];
  readonly #valuesAt: number[] = [];
  readonly #answerByNode: Buffer[] = [];
  /** The end of the value that `#valueStart` found. */
  #valueEnd = 0;
  /** Of the owners of probes that ask for lists; those without any are left out. */
  readonly subscriptions: ListSubscriptions[] = [];

  /** Copies `request`, whose memory is not ours to keep. */
  constructor(fanOut: FanOut, request: Buffer) {
    this.#fanOut = fanOut;
    this.#source = Buffer.from(request);
  }

  /** Adds the DID at `start..end` of the request; all precede the first probe. Returns its id. */
  did(start: number, end: number): number {
    this.#nodes.push(nodeOfDid(this.#source, start, end, this.#fanOut));
    this.#starts.push(start);
    return this.#ends.push(end) - 1;
  }

  #indexOf({ indexOf, listed }: NodeProbes, id: number): number {
    if (indexOf[id]! < 0) indexOf[id] = listed.push(id) - 1;
    return indexOf[id]!;
  }

  /** Adds a probe and returns its id. A malformed DID has no edges, as on the official plane. */
  add(owner: number, kinds: number, subject: number): number {
    const probe = this.#owners.push(owner) - 1;
    this.#asked.push(kinds);
    this.#found.push(0);
    this.#valuesAt.push(0);
    const node = this.#nodes[owner]!;
    if (kinds === 0 || node < 0 || this.#nodes[subject]! < 0) return probe;
    let batch = this.#batchByNode[node];
    if (batch === undefined) {
      const indexOf = new Int32Array(this.#nodes.length).fill(-1);
      batch = { node, listed: [], indexOf, probes: [], probeIds: [] };
      this.#batchByNode[node] = batch;
    }
    batch.probes.push({ owner: this.#indexOf(batch, owner), kinds, subject: this.#indexOf(batch, subject) });
    batch.probeIds.push(probe);
    return probe;
  }

  /** The DIDs by id, and the node of each, -1 for a malformed one. */
  get dids(): DidRanges & { readonly nodes: readonly number[] } {
    return { source: this.#source, starts: this.#starts, ends: this.#ends, nodes: this.#nodes };
  }

  /** Asks the nodes. Returns a promise only if their answers are not there at once. */
  ask(deadlineMs: number): Promise<void> | void {
    const batches = this.#batchByNode.filter((batch) => batch !== undefined);
    const { dids } = this;
    const subRequests = batches.map(({ node, listed, probes }) => ({
      node,
      payload: encodeProbes(dids, listed, probes),
    }));
    return whenThere(this.#fanOut.askAll(nodeCalls.probeEdges, subRequests, deadlineMs), (answers) => {
      for (let index = 0; index < batches.length; index++) this.#takeAnswer(batches[index]!, answers[index]!);
    });
  }

  /** Errors: DataPlaneError `Internal` if the node answered what was not asked. */
  #takeAnswer(batch: NodeProbes, answer: Uint8Array): void {
    const { node, probeIds } = batch;
    const reader = openProbesAnswer(answer);
    this.#answerByNode[node] = reader.buffer;
    let index = -1;
    for (let step = reader.varint(); step > 0; step = reader.varint()) {
      index += step;
      const kinds = reader.u8();
      const probe = probeIds[index];
      if (probe === undefined || (kinds & ~(this.#asked[probe]! & valueBits)) !== 0)
        return reader.fail('a value that was not asked for');
      this.#found[probe] = kinds;
      this.#valuesAt[probe] = reader.position;
      for (let left = kinds; left > 0; left &= left - 1) reader.lengthDelimitedRange();
    }
    for (const { owners, bit, lists } of readSubscriptions(reader)) {
      for (const owner of owners) this.subscriptions.push({ did: idOf(batch, owner, reader), bit, lists });
    }
    reader.end();
  }

  /** Returns the id of the DID that owns a probe's edges. */
  ownerOf(probe: number): number {
    return this.#owners[probe]!;
  }

  /** Returns the bits of the edges and the mute that a probe found. */
  foundBy(probe: number): number {
    return this.#found[probe]!;
  }

  #answerOf(probe: number): Buffer {
    return this.#answerByNode[this.#nodes[this.#owners[probe]!]!]!;
  }

  /** Returns where the value of a kind that was found begins, and sets `#valueEnd`. */
  #valueStart(probe: number, kind: number): number {
    const answer = this.#answerOf(probe);
    let start = this.#valuesAt[probe]!;
    // The values of lower bits come first.
    for (let left = this.#found[probe]! & (2 * kind - 1); ; left &= left - 1) {
      const bytes = readVarint(answer, start, answer.length);
      start = varintEnd();
      this.#valueEnd = start + bytes;
      if ((left & (left - 1)) === 0) return start;
      start = this.#valueEnd;
    }
  }

  /** Returns the flags of a mute, 0 without one. */
  muteFlags(probe: number): number {
    if ((this.#found[probe]! & privateBit.mute) === 0) return 0;
    const start = this.#valueStart(probe, privateBit.mute);
    return this.#valueEnd === start ? 0 : this.#answerOf(probe)[start]!;
  }

  /**
   * Writes the URI of the record of an edge, if it was found, as a field whose number is below 16.
   * `kind` is one bit.
   */
  writeUriField(into: ByteWriter, number: number, probe: number, kind: number): void {
    if ((this.#found[probe]! & kind) === 0) return;
    const rkeyStart = this.#valueStart(probe, kind);
    const rkeyEnd = this.#valueEnd;
    const owner = this.#owners[probe]!;
    const [start, end] = [this.#starts[owner]!, this.#ends[owner]!];
    const path = pathByKind[kind]!;
    const bytes = uriHead.length + end - start + path.length + rkeyEnd - rkeyStart;
    into.varint(number * 8 + wireType.lengthDelimited).varint(bytes);
    into.reserve(bytes);
    const { buffer } = into;
    let at = copyBytes(buffer, into.length, uriHead, 0, uriHead.length);
    at = copyBytes(buffer, at, this.#source, start, end);
    at = copyBytes(buffer, at, path, 0, path.length);
    into.length = copyBytes(buffer, at, this.#answerOf(probe), rkeyStart, rkeyEnd);
  }
}
