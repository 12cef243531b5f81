/**
 * Merges the nodes' answers to a by-item request back into the order asked, by copying slices of their bytes.
 *
 * Owns: the check that a node answered each item once in each field. Fields that are not declared are dropped.
 */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { asBuffer, copyBytes, FieldScanner, varintBytes, writeVarint } from '../../proto/fields.ts';
import { wireType } from '../../proto/message-decoder.ts';
import type { ItemSplit } from './item-split.ts';

/** A repeated field of the response with one value an item: messages, texts or bytes; or packed numbers. */
export type AnswerField =
  | { readonly number: number; readonly form: 'lengthDelimited'; readonly absent: Uint8Array }
  | { readonly number: number; readonly form: 'packed' };

function mismatch(place: string, question: number, found: number, asked: number): never {
  throw new DataPlaneError('Internal', `${place}: answer ${question} holds ${found} values for ${asked} items`);
}

const noBytes = Buffer.alloc(0);

/** Where the values of one answer field stand, node by node. */
class FieldPlaces {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly #found: number[];
  readonly #bases: readonly number[];

  constructor(split: ItemSplit, bases: readonly number[]) {
    const total = split.questionOf.length - split.absentCount;
    this.starts = new Int32Array(total);
    this.ends = new Int32Array(total);
    this.#found = split.counts.map(() => 0);
    this.#bases = bases;
  }

  add(question: number, start: number, end: number): void {
    const at = this.#bases[question]! + this.#found[question]!++;
    this.starts[at] = start;
    this.ends[at] = end;
  }

  /** Steps through the varints of a packed list. */
  addPacked(question: number, answer: Buffer, start: number, end: number): void {
    let from = start;
    for (let position = start; position < end; position++) {
      if (answer[position]! >= 0x80) continue;
      this.add(question, from, position + 1);
      from = position + 1;
    }
  }

  /** True when nodes were asked and none wrote this field, as proto3 allows for one that they do not fill. */
  isUnfilled(): boolean {
    return this.starts.length > 0 && this.#found.every((found) => found === 0);
  }

  check(split: ItemSplit, place: string): void {
    if (this.isUnfilled()) return;
    for (let question = 0; question < split.counts.length; question++) {
      const found = this.#found[question]!;
      if (found !== split.counts[question]) mismatch(place, question, found, split.counts[question]!);
    }
  }
}

function locateValues(
  split: ItemSplit,
  answers: readonly Buffer[],
  fields: readonly AnswerField[],
  bases: readonly number[],
  place: string,
): FieldPlaces[] {
  const places = fields.map(() => new FieldPlaces(split, bases));
  const scanner = new FieldScanner(noBytes, place, 0, 0, 'Internal');
  for (let question = 0; question < answers.length; question++) {
    const answer = answers[question]!;
    scanner.reset(answer, 0, answer.length);
    while (scanner.next()) {
      const index = fields.findIndex(({ number }) => number === scanner.number);
      if (index < 0 || scanner.wire !== wireType.lengthDelimited) continue;
      if (fields[index]!.form === 'packed') places[index]!.addPacked(question, answer, scanner.start, scanner.end);
      else places[index]!.add(question, scanner.tagStart, scanner.end);
    }
  }
  for (const each of places) each.check(split, place);
  return places;
}

/** Writes the length-delimited values of one field; neighbours that stand side by side in one answer are copied together. */
function writeLengthDelimited(
  into: Buffer,
  position: number,
  split: ItemSplit,
  answers: readonly Buffer[],
  places: FieldPlaces,
  nextOf: number[],
  absent: Buffer,
): number {
  const { questionOf } = split;
  let at = position;
  for (let item = 0; item < questionOf.length; item++) {
    const question = questionOf[item]!;
    if (question < 0) {
      at = copyBytes(into, at, absent, 0, absent.length);
      continue;
    }
    let value = nextOf[question]!;
    const start = places.starts[value]!;
    while (
      item + 1 < questionOf.length &&
      questionOf[item + 1] === question &&
      places.starts[value + 1] === places.ends[value]
    ) {
      value++;
      item++;
    }
    at = copyBytes(into, at, answers[question]!, start, places.ends[value]!);
    nextOf[question] = value + 1;
  }
  return at;
}

function writePacked(
  into: Buffer,
  position: number,
  number: number,
  split: ItemSplit,
  answers: readonly Buffer[],
  places: FieldPlaces,
  nextOf: number[],
): number {
  const { questionOf } = split;
  let bytes = split.absentCount;
  for (let value = 0; value < places.starts.length; value++) bytes += places.ends[value]! - places.starts[value]!;
  let at = writeVarint(into, writeVarint(into, position, number * 8 + wireType.lengthDelimited), bytes);
  for (let item = 0; item < questionOf.length; item++) {
    const question = questionOf[item]!;
    if (question < 0) {
      into[at++] = 0;
      continue;
    }
    const value = nextOf[question]!;
    nextOf[question] = value + 1;
    const answer = answers[question]!;
    for (let from = places.starts[value]!; from < places.ends[value]!; from++) into[at++] = answer[from]!;
  }
  return at;
}

/**
 * Merges answers.
 *
 * Shape: `fields` ascend by number; an absent value of a length-delimited field is given with its tag. Errors: DataPlaneError `Internal`
 * when a node answered too many or too few.
 */
export function mergeItems(
  split: ItemSplit,
  rawAnswers: readonly Uint8Array[],
  fields: readonly AnswerField[],
  place: string,
): Buffer {
  const answers = rawAnswers.map(asBuffer);
  const bases: number[] = [];
  let total = 0;
  for (const count of split.counts) {
    bases.push(total);
    total += count;
  }
  const places = locateValues(split, answers, fields, bases, place);
  let bytesMax = 0;
  for (const answer of answers) bytesMax += answer.length;
  for (const field of fields) {
    bytesMax +=
      field.form === 'lengthDelimited'
        ? field.absent.length * split.absentCount
        : split.absentCount + varintBytes(field.number * 8) + 5;
  }
  const merged = Buffer.allocUnsafe(bytesMax);
  let position = 0;
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index]!;
    if (places[index]!.isUnfilled()) continue;
    const nextOf = [...bases];
    position =
      field.form === 'lengthDelimited'
        ? writeLengthDelimited(merged, position, split, answers, places[index]!, nextOf, asBuffer(field.absent))
        : writePacked(merged, position, field.number, split, answers, places[index]!, nextOf);
  }
  return merged.subarray(0, position);
}
