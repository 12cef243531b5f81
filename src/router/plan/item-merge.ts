/**
 * Merges nodes' answers to a by-item request in the order asked, by copying slices of their bytes.
 *
 * Owns: the check that a node answered each item once in each field. Drops undeclared fields.
 */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { varintBytes, writeVarint } from '../../base/varint.ts';
import { asBuffer, copyBytes, FieldScanner } from '../../proto/fields.ts';
import { wireType } from '../../proto/message-decoder.ts';
import type { ItemSplit } from './item-split.ts';

/** A repeated field of the response with one value for each item. */
export type AnswerField =
  /** `missing` is the field of an item that no node can hold, tag included. */
  | { readonly number: number; readonly form: 'lengthDelimited'; readonly missing: Uint8Array }
  | { readonly number: number; readonly form: 'packed' };

const noBytes = Buffer.alloc(0);

/** The ranges of one answer field's values, in the order of the sub-requests. */
class FieldValues {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** The index of each sub-request's first value. */
  readonly firsts: readonly number[];
  readonly #counts: number[];

  constructor(split: ItemSplit, firsts: readonly number[]) {
    const total = split.subRequestOf.length - split.missingCount;
    this.starts = new Int32Array(total);
    this.ends = new Int32Array(total);
    this.firsts = firsts;
    this.#counts = split.counts.map(() => 0);
  }

  add(subRequest: number, start: number, end: number): void {
    const at = this.firsts[subRequest]! + this.#counts[subRequest]!++;
    this.starts[at] = start;
    this.ends[at] = end;
  }

  /** Adds the varints of a packed list. */
  addPacked(subRequest: number, answer: Buffer, start: number, end: number): void {
    let from = start;
    for (let position = start; position < end; position++) {
      if (answer[position]! >= 0x80) continue;
      this.add(subRequest, from, position + 1);
      from = position + 1;
    }
  }

  /** True when nodes were asked and none wrote this field. */
  isUnfilled(): boolean {
    return this.starts.length > 0 && this.#counts.every((count) => count === 0);
  }

  check({ counts }: ItemSplit, path: string): void {
    if (this.isUnfilled()) return;
    for (let index = 0; index < counts.length; index++) {
      const [found, asked] = [this.#counts[index], counts[index]];
      if (found === asked) continue;
      throw new DataPlaneError('Internal', `${path}: answer ${index} holds ${found} values for ${asked} items`);
    }
  }
}

/** A merge in progress; `into` holds the response up to `length`. */
type Merge = {
  readonly split: ItemSplit;
  readonly answers: readonly Buffer[];
  readonly into: Buffer;
  length: number;
};

function locateValues(
  split: ItemSplit,
  answers: readonly Buffer[],
  fields: readonly AnswerField[],
  path: string,
): FieldValues[] {
  const firsts: number[] = [];
  let total = 0;
  for (const count of split.counts) {
    firsts.push(total);
    total += count;
  }
  const values = fields.map(() => new FieldValues(split, firsts));
  const scanner = new FieldScanner(noBytes, path, 0, 0, 'Internal');
  for (let subRequest = 0; subRequest < answers.length; subRequest++) {
    const answer = answers[subRequest]!;
    scanner.reset(answer, 0, answer.length);
    while (scanner.next()) {
      const index = fields.findIndex(({ number }) => number === scanner.number);
      if (index < 0 || scanner.wire !== wireType.lengthDelimited) continue;
      if (fields[index]!.form === 'packed') values[index]!.addPacked(subRequest, answer, scanner.start, scanner.end);
      else values[index]!.add(subRequest, scanner.tagStart, scanner.end);
    }
  }
  for (const each of values) each.check(split, path);
  return values;
}

/** Writes the values of a length-delimited field; adjacent ones of one answer in a single copy. */
function writeLengthDelimited(merge: Merge, values: FieldValues, missing: Buffer): void {
  const { into, answers } = merge;
  const { subRequestOf } = merge.split;
  const { starts, ends } = values;
  const nextOf = [...values.firsts];
  let at = merge.length;
  for (let item = 0; item < subRequestOf.length; item++) {
    const subRequest = subRequestOf[item]!;
    if (subRequest < 0) {
      at = copyBytes(into, at, missing, 0, missing.length);
      continue;
    }
    let value = nextOf[subRequest]!;
    const start = starts[value]!;
    while (
      item + 1 < subRequestOf.length &&
      subRequestOf[item + 1] === subRequest &&
      starts[value + 1] === ends[value]
    ) {
      value++;
      item++;
    }
    at = copyBytes(into, at, answers[subRequest]!, start, ends[value]!);
    nextOf[subRequest] = value + 1;
  }
  merge.length = at;
}

/** Writes the values of a packed field; 0 for a missing item. */
function writePacked(merge: Merge, values: FieldValues, number: number): void {
  const { into, answers, split } = merge;
  const { subRequestOf } = split;
  const { starts, ends } = values;
  const nextOf = [...values.firsts];
  let bytes = split.missingCount;
  for (let value = 0; value < starts.length; value++) bytes += ends[value]! - starts[value]!;
  let at = writeVarint(into, writeVarint(into, merge.length, number * 8 + wireType.lengthDelimited), bytes);
  for (let item = 0; item < subRequestOf.length; item++) {
    const subRequest = subRequestOf[item]!;
    if (subRequest < 0) {
      into[at++] = 0;
      continue;
    }
    const value = nextOf[subRequest]!;
    nextOf[subRequest] = value + 1;
    const answer = answers[subRequest]!;
    for (let from = starts[value]!; from < ends[value]!; from++) into[at++] = answer[from]!;
  }
  merge.length = at;
}

function mergedBytesMax(answers: readonly Buffer[], fields: readonly AnswerField[], missingCount: number): number {
  let bytes = 0;
  for (const answer of answers) bytes += answer.length;
  for (const field of fields) {
    const missingBytes = field.form === 'lengthDelimited' ? field.missing.length : 1;
    bytes += missingBytes * missingCount;
    if (field.form === 'packed') bytes += varintBytes(field.number * 8) + 5;
  }
  return bytes;
}

/**
 * Merges answers.
 *
 * Shape: `fields` ascend by number. Errors: DataPlaneError `Internal` if a node gave too many or
 * too few values.
 */
export function mergeItems(
  split: ItemSplit,
  rawAnswers: readonly Uint8Array[],
  fields: readonly AnswerField[],
  path: string,
): Buffer {
  const answers = rawAnswers.map(asBuffer);
  const values = locateValues(split, answers, fields, path);
  const into = Buffer.allocUnsafe(mergedBytesMax(answers, fields, split.missingCount));
  const merge: Merge = { split, answers, into, length: 0 };
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index]!;
    if (values[index]!.isUnfilled()) continue;
    if (field.form === 'lengthDelimited') writeLengthDelimited(merge, values[index]!, asBuffer(field.missing));
    else writePacked(merge, values[index]!, field.number);
  }
  return into.subarray(0, merge.length);
}
