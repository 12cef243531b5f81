/**
 * Merges nodes' answers to a by-item request in the order asked, by copying slices of their bytes.
 *
 * Owns: the check that a node answered each item once in each field. Drops undeclared fields.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
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

/** Room for the ranges of usual merges: memory of its own costs each more than they do. */
const scratchRanges = 8 * 1024;
/** Null while a merge has it, and after one that failed. */
let scratch: Int32Array | null = new Int32Array(scratchRanges);

/** The ranges of one answer field's values, in the order of the sub-requests. */
class FieldValues {
  /** Values in all answers. */
  readonly total: number;
  /** The index of each sub-request's first value. */
  readonly firsts: readonly number[];
  /** From `#from` on: the start and the end of each value. */
  readonly #ranges: Int32Array;
  readonly #from: number;
  readonly #counts: number[];

  constructor(split: ItemSplit, firsts: readonly number[], ranges: Int32Array, from: number) {
    this.total = split.subRequestOf.length - split.missingCount;
    this.firsts = firsts;
    this.#ranges = ranges;
    this.#from = from;
    this.#counts = split.counts.map(() => 0);
  }

  startOf(value: number): number {
    return this.#ranges[this.#from + 2 * value]!;
  }

  endOf(value: number): number {
    return this.#ranges[this.#from + 2 * value + 1]!;
  }

  add(subRequest: number, start: number, end: number): void {
    const value = this.firsts[subRequest]! + this.#counts[subRequest]!++;
    // Beyond its room are only values of an answer with too many, which is refused.
    if (value >= this.total) return;
    this.#ranges[this.#from + 2 * value] = start;
    this.#ranges[this.#from + 2 * value + 1] = end;
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
    return this.total > 0 && this.#counts.every((count) => count === 0);
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

/** Where the writing of one field is: the next item, and each sub-request's next value. */
type Position = { item: number; readonly nextOf: number[] };

/** A merge in progress. First all answers are located, then all fields written. */
class Merge {
  readonly #split: ItemSplit;
  readonly #answers: readonly Buffer[];
  readonly #fields: readonly AnswerField[];
  readonly #values: readonly FieldValues[];
  readonly #scanner: FieldScanner;
  readonly #ranges: Int32Array;
  #into = noBytes;
  #length = 0;
  #field = 0;
  #position: Position | null = null;

  constructor(split: ItemSplit, answers: readonly Buffer[], fields: readonly AnswerField[], path: string) {
    this.#split = split;
    this.#answers = answers;
    this.#fields = fields;
    const firsts: number[] = [];
    let total = 0;
    for (const count of split.counts) {
      firsts.push(total);
      total += count;
    }
    const rangeNumbers = 2 * (split.subRequestOf.length - split.missingCount);
    this.#ranges = rangesFor(rangeNumbers * fields.length);
    this.#values = fields.map((_field, index) => new FieldValues(split, firsts, this.#ranges, index * rangeNumbers));
    this.#scanner = new FieldScanner(noBytes, path, 0, 0, 'Internal');
  }

  /** Finds the values of one answer. */
  locate(subRequest: number): void {
    const answer = this.#answers[subRequest]!;
    const scanner = this.#scanner.reset(answer, 0, answer.length);
    const fields = this.#fields;
    while (scanner.next()) {
      const index = fields.findIndex(({ number }) => number === scanner.number);
      if (index < 0 || scanner.wire !== wireType.lengthDelimited) continue;
      const values = this.#values[index]!;
      if (fields[index]!.form === 'packed') values.addPacked(subRequest, answer, scanner.start, scanner.end);
      else values.add(subRequest, scanner.tagStart, scanner.end);
    }
  }

  /** Begins to write. Errors: DataPlaneError `Internal` for too many or too few values. */
  begin(path: string): void {
    for (const each of this.#values) each.check(this.#split, path);
    this.#into = Buffer.allocUnsafe(mergedBytesMax(this.#answers, this.#fields, this.#split.missingCount));
  }

  /** Writes about so many bytes. Returns false once all is written. */
  write(bytes: number): boolean {
    const end = this.#length + bytes;
    while (this.#field < this.#fields.length && this.#length < end) {
      const field = this.#fields[this.#field]!;
      const values = this.#values[this.#field]!;
      if (!values.isUnfilled()) {
        this.#position ??= { item: 0, nextOf: [...values.firsts] };
        if (field.form === 'packed') this.#writePacked(values, field.number, this.#position);
        else this.#writeLengthDelimited(values, asBuffer(field.missing), this.#position, end);
        if (this.#position.item < this.#split.subRequestOf.length) return true;
      }
      this.#position = null;
      this.#field++;
    }
    return this.#field < this.#fields.length;
  }

  /** Returns what was written. This ends the merge. */
  merged(): Buffer {
    if (this.#ranges.length === scratchRanges) scratch = this.#ranges;
    return this.#into.subarray(0, this.#length);
  }

  /** Writes values up to about `end` bytes; adjacent ones of one answer in a single copy. */
  #writeLengthDelimited(values: FieldValues, missing: Buffer, position: Position, end: number): void {
    const into = this.#into;
    const answers = this.#answers;
    const { subRequestOf } = this.#split;
    const { nextOf } = position;
    let at = this.#length;
    let item = position.item;
    for (; item < subRequestOf.length && at < end; item++) {
      const subRequest = subRequestOf[item]!;
      if (subRequest < 0) {
        at = copyBytes(into, at, missing, 0, missing.length);
        continue;
      }
      let value = nextOf[subRequest]!;
      const start = values.startOf(value);
      while (
        item + 1 < subRequestOf.length &&
        subRequestOf[item + 1] === subRequest &&
        values.startOf(value + 1) === values.endOf(value)
      ) {
        value++;
        item++;
      }
      at = copyBytes(into, at, answers[subRequest]!, start, values.endOf(value));
      nextOf[subRequest] = value + 1;
    }
    position.item = item;
    this.#length = at;
  }

  /** Writes all values of a packed field, which are small; 0 for a missing item. */
  #writePacked(values: FieldValues, number: number, position: Position): void {
    const into = this.#into;
    const answers = this.#answers;
    const { subRequestOf, missingCount } = this.#split;
    const { nextOf } = position;
    let bytes = missingCount;
    for (let value = 0; value < values.total; value++) bytes += values.endOf(value) - values.startOf(value);
    let at = writeVarint(into, writeVarint(into, this.#length, number * 8 + wireType.lengthDelimited), bytes);
    for (let item = 0; item < subRequestOf.length; item++) {
      const subRequest = subRequestOf[item]!;
      if (subRequest < 0) {
        into[at++] = 0;
        continue;
      }
      const value = nextOf[subRequest]!;
      nextOf[subRequest] = value + 1;
      const answer = answers[subRequest]!;
      const end = values.endOf(value);
      for (let from = values.startOf(value); from < end; from++) into[at++] = answer[from]!;
    }
    position.item = subRequestOf.length;
    this.#length = at;
  }
}

/** Returns room for so many numbers, with whatever was in it. */
function rangesFor(numbers: number): Int32Array {
  if (numbers > scratchRanges) return new Int32Array(numbers);
  const taken = scratch ?? new Int32Array(scratchRanges);
  scratch = null;
  return taken;
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
  const merge = new Merge(split, rawAnswers.map(asBuffer), fields, path);
  for (let subRequest = 0; subRequest < rawAnswers.length; subRequest++) merge.locate(subRequest);
  merge.begin(path);
  merge.write(Number.POSITIVE_INFINITY);
  return merge.merged();
}

/** What one turn of the event loop copies of a large answer, into memory that is new to it. */
const mergedBytesOfTurn = 256 * 1024;

/** Merges large answers, one answer or a part of the result in each turn of the event loop. */
export async function mergeInTurns(
  split: ItemSplit,
  answers: readonly Buffer[],
  fields: readonly AnswerField[],
  path: string,
): Promise<Buffer> {
  const merge = new Merge(split, answers, fields, path);
  for (let subRequest = 0; subRequest < answers.length; subRequest++) {
    merge.locate(subRequest);
    await nextTurn();
  }
  merge.begin(path);
  while (merge.write(mergedBytesOfTurn)) await nextTurn();
  return merge.merged();
}
