/**
 * Splits a by-item request into requests for nodes, by copying slices of its bytes.
 *
 * Owns: which item goes to which node, in the order asked. Items that occur twice are asked twice.
 */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { copyBytes, FieldScanner, type NamedField } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { wireType } from '../../proto/message-decoder.ts';
import { itemsPerTurn } from './fair-queue.ts';
import type { FanOut, SubRequest } from './fan-out.ts';
import { requireItemsMax } from './plan.ts';
import { malformedKey, nodeOfDid, nodeOfHandle, nodeOfUri } from './slot-finder.ts';

/** A record URI, a RecordRef message, a DID, a handle, or what a label is about: a DID or a URI. */
export type ItemShape = 'uri' | 'ref' | 'did' | 'handle' | 'subject';

/** The repeated field that holds the items. */
export type ItemField = NamedField & {
  readonly shape: ItemShape;
  /** A malformed item is an error where the official plane throws; elsewhere it is missing. */
  readonly malformed: 'refused' | 'missing';
};

export type ItemSplit = {
  /** By item: the index of its sub-request, or -1 if no node can hold it. */
  readonly subRequestOf: Int16Array;
  readonly subRequests: readonly SubRequest[];
  /** By sub-request: how many items it has. */
  readonly counts: readonly number[];
  /** Items that are in no sub-request. */
  readonly missingCount: number;
};

const letterD = 0x64;
/** Each part of a request has a copy of all fields but the items. */
const otherBytesMax = 524_288;

/** Scratch for one synchronous call: the ranges of a request's items, and their nodes. */
let starts = new Int32Array(1024);
let ends = new Int32Array(1024);
let nodes = new Int16Array(1024);

function growScratch(): void {
  const grow = <Numbers extends Int32Array | Int16Array>(from: Numbers, into: Numbers): Numbers => {
    into.set(from);
    return into;
  };
  starts = grow(starts, new Int32Array(starts.length * 2));
  ends = grow(ends, new Int32Array(ends.length * 2));
  nodes = grow(nodes, new Int16Array(nodes.length * 2));
}

/** Returns the node of an item; negative if it has none, malformedKey if it is malformed. */
function nodeOfItem(
  request: Buffer,
  scanner: FieldScanner,
  shape: ItemShape,
  inner: FieldScanner,
  fanOut: FanOut,
): number {
  const { start, end } = scanner;
  switch (shape) {
    case 'uri':
      return nodeOfUri(request, start, end, fanOut);
    case 'did':
      return nodeOfDid(request, start, end, fanOut);
    case 'handle':
      return nodeOfHandle(request, start, end, fanOut);
    case 'subject':
      // Of the two only a DID begins with this letter.
      return (request[start] === letterD ? nodeOfDid : nodeOfUri)(request, start, end, fanOut);
    case 'ref':
      inner.reset(request, start, end).lastOf(fieldNumber.RecordRef.uri);
      return nodeOfUri(request, inner.start, inner.end, fanOut);
  }
}

function refuseItem(field: ItemField, index: number, request: Buffer, start: number, end: number): never {
  const shown = request.utf8Slice(start, Math.min(end, start + 80));
  throw new DataPlaneError('InvalidArgument', `${field.path}[${index}]: ${JSON.stringify(shown)} is malformed`);
}

/** The ranges of a request's fields that are no items. */
class OtherFields {
  /** Start and end of each range, adjacent fields in one. */
  readonly ranges: number[] = [];
  bytes = 0;

  add(start: number, end: number, path: string): void {
    this.bytes += end - start;
    if (this.bytes > otherBytesMax)
      throw new DataPlaneError('ResourceExhausted', `${path}: more than ${otherBytesMax} bytes of other fields`);
    if (this.ranges.at(-1) === start) this.ranges[this.ranges.length - 1] = end;
    else this.ranges.push(start, end);
  }
}

/** What `locateItems` found besides nodes. */
type Located = { readonly count: number; readonly missingCount: number; readonly others: OtherFields };

/** Finds the node of every item. */
function locateItems(request: Buffer, field: ItemField, fanOut: FanOut): Located {
  const scanner = new FieldScanner(request, field.path);
  const inner = new FieldScanner(request, field.path, 0, 0);
  const others = new OtherFields();
  let count = 0;
  let missingCount = 0;
  while (scanner.next()) {
    if (scanner.number !== field.number) {
      others.add(scanner.tagStart, scanner.end, field.path);
      continue;
    }
    if (scanner.wire !== wireType.lengthDelimited)
      throw new DataPlaneError('InvalidArgument', `${field.path}: wire type ${scanner.wire} does not fit`);
    requireItemsMax(count + 1, field.path);
    if (count === starts.length) growScratch();
    const node = nodeOfItem(request, scanner, field.shape, inner, fanOut);
    if (node === malformedKey && field.malformed === 'refused')
      refuseItem(field, count, request, scanner.start, scanner.end);
    starts[count] = scanner.tagStart;
    ends[count] = scanner.end;
    nodes[count] = node;
    if (node < 0) missingCount++;
    count++;
  }
  return { count, missingCount, others };
}

/** A sub-request whose items are being counted. */
type Part = { readonly node: number; readonly firstItem: number; items: number; bytes: number };

/** Copies the items of a part, and the other fields, into a request. */
function subRequestFor(
  request: Buffer,
  part: number,
  { firstItem, items, bytes }: Part,
  subRequestOf: Int16Array,
  others: OtherFields,
): Buffer {
  const { ranges } = others;
  const payload = Buffer.allocUnsafe(bytes + others.bytes);
  let position = 0;
  for (let item = firstItem, left = items; left > 0; item++) {
    if (subRequestOf[item] !== part) continue;
    const start = starts[item]!;
    while (--left > 0 && subRequestOf[item + 1] === part && starts[item + 1] === ends[item]) item++;
    position = copyBytes(payload, position, request, start, ends[item]!);
  }
  for (let index = 0; index < ranges.length; index += 2) {
    position = copyBytes(payload, position, request, ranges[index]!, ranges[index + 1]!);
  }
  return payload;
}

/** Hot: without what several nodes need. */
function splitOfOneNode(request: Buffer, count: number): ItemSplit {
  const subRequests = count === 0 ? [] : [{ node: 0, payload: request }];
  return { subRequestOf: new Int16Array(count), subRequests, counts: [count], missingCount: 0 };
}

/**
 * Splits a request. If all items belong to one node and are few, its sub-request is the request,
 * not a copy. A node has a further sub-request for each `itemsPerTurn` items.
 *
 * Errors: DataPlaneError `InvalidArgument` naming the item; `ResourceExhausted` past `itemsMax` or
 * `otherBytesMax`.
 */
export function splitItems(request: Buffer, field: ItemField, fanOut: FanOut): ItemSplit {
  const { count, missingCount, others } = locateItems(request, field, fanOut);
  const isFew = count <= itemsPerTurn;
  if (fanOut.nodeNames.length === 1 && missingCount === 0 && isFew) return splitOfOneNode(request, count);
  const subRequestOf = new Int16Array(count);
  const partOfNode = new Int16Array(fanOut.nodeNames.length).fill(-1);
  const parts: Part[] = [];
  for (let item = 0; item < count; item++) {
    const node = nodes[item]!;
    if (node < 0) {
      subRequestOf[item] = -1;
      continue;
    }
    let index = partOfNode[node]!;
    if (index < 0 || parts[index]!.items === itemsPerTurn) {
      index = parts.push({ node, firstItem: item, items: 0, bytes: 0 }) - 1;
      partOfNode[node] = index;
    }
    const part = parts[index]!;
    subRequestOf[item] = index;
    part.items++;
    part.bytes += ends[item]! - starts[item]!;
  }
  const isWhole = parts.length === 1 && missingCount === 0;
  const subRequests = parts.map((part, index) => ({
    node: part.node,
    payload: isWhole ? request : subRequestFor(request, index, part, subRequestOf, others),
  }));
  return { subRequestOf, subRequests, counts: parts.map(({ items }) => items), missingCount };
}
