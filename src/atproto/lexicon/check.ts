/**
 * Compiles lexicon definitions into checks, once at startup.
 *
 * The checks accept and refuse as the official schema classes do in strict mode: unknown fields
 * pass, an open union accepts unknown types, and blobs must have the current form.
 */
import { Cid, cidCodec } from '../cid.ts';
import { ByteString, type DagMap, type DagValue, isDagMap } from '../dag-value.ts';
import { checkByFormat } from '../string-format.ts';
import type { LexiconBlob, LexiconDefinitions, LexiconFields, LexiconNode, LexiconText } from './lexicon-definition.ts';

/** Why a value does not match its lexicon. */
export type LexiconReason =
  | 'not-an-object'
  | 'type-wrong'
  | 'field-missing'
  | 'kind-wrong'
  | 'too-long'
  | 'too-short'
  | 'too-many-graphemes'
  | 'out-of-range'
  | 'format-bad'
  | 'blob-bad'
  | 'blob-not-accepted'
  | 'blob-too-large'
  | 'union-untyped'
  | 'union-closed';

/** Returns null for a value that matches. */
export type LexiconCheck = (value: DagValue | undefined) => LexiconReason | null;
type MapCheck = (value: DagMap) => LexiconReason | null;

const segmenter = new Intl.Segmenter();

/** True when `text` has more than `max` grapheme clusters. Stops counting beyond `max`. */
export function hasMoreGraphemes(text: string, max: number): boolean {
  if (text.length <= max) return false;
  // In ASCII, only CR LF makes one grapheme of two characters.
  let isPlain = true;
  for (let index = 0; index < text.length && isPlain; index++) {
    const code = text.charCodeAt(index);
    isPlain = code < 0x80 && code !== 0x0d;
  }
  if (isPlain) return true;
  let count = 0;
  for (const _grapheme of segmenter.segment(text)) if (++count > max) return true;
  return false;
}

function checkText(node: LexiconText): LexiconCheck {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, maxGraphemes = Number.POSITIVE_INFINITY } = node;
  const hasFormat = node.format === undefined ? () => true : checkByFormat[node.format];
  return (value) => {
    if (typeof value !== 'string') return 'kind-wrong';
    // UTF-8 takes one to three bytes per UTF-16 unit, so most texts need no byte count.
    if (value.length < minLength && Buffer.byteLength(value) < minLength) return 'too-short';
    if (value.length * 3 > maxLength && Buffer.byteLength(value) > maxLength) return 'too-long';
    if (value.length > maxGraphemes && hasMoreGraphemes(value, maxGraphemes)) return 'too-many-graphemes';
    return hasFormat(value) ? null : 'format-bad';
  };
}

function isAccepted(mimeType: string, accept: readonly string[]): boolean {
  return accept.some(
    (pattern) =>
      pattern === '*/*' ||
      pattern === mimeType ||
      (pattern.endsWith('/*') && mimeType.startsWith(pattern.slice(0, -1))),
  );
}

function checkBlob(node: LexiconBlob): LexiconCheck {
  const { accept, maxSize = Number.POSITIVE_INFINITY } = node;
  return (value) => {
    if (!isDagMap(value) || value['$type'] !== 'blob') return 'blob-bad';
    for (const key in value) {
      if (key !== '$type' && key !== 'mimeType' && key !== 'ref' && key !== 'size') return 'blob-bad';
    }
    const { mimeType, size, ref } = value;
    if (typeof mimeType !== 'string' || !mimeType.includes('/')) return 'blob-bad';
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return 'blob-bad';
    if (!(ref instanceof Cid) || ref.codec !== cidCodec.raw) return 'blob-bad';
    if (accept !== undefined && !isAccepted(mimeType, accept)) return 'blob-not-accepted';
    return size > maxSize ? 'blob-too-large' : null;
  };
}

/** Compiles the fields of one object. Fields that the lexicon does not name are ignored. */
function checkFields(fields: LexiconFields, compile: (node: LexiconNode) => LexiconCheck): MapCheck {
  const rules = Object.entries(fields).map(([field, node]) => ({
    field,
    isOptional: node.isOptional === true,
    check: compile(node),
  }));
  return (value) => {
    for (const rule of rules) {
      const item = value[rule.field];
      if (item === undefined) {
        if (!rule.isOptional) return 'field-missing';
        continue;
      }
      const reason = rule.check(item);
      if (reason !== null) return reason;
    }
    return null;
  };
}

/** Compiles all definitions. Returns the check of every record by its NSID. */
export function compileLexicon(definitions: LexiconDefinitions): ReadonlyMap<string, LexiconCheck> {
  const checkByName = new Map<string, MapCheck>();
  // Definitions may refer to each other in any order, so names are resolved on each check.
  const compile = (node: LexiconNode): LexiconCheck => compileNode(node, checkByName, compile);
  for (const [name, definition] of Object.entries(definitions)) {
    checkByName.set(name, checkFields(definition.fields, compile));
  }
  const records = new Map<string, LexiconCheck>();
  for (const [name, definition] of Object.entries(definitions)) {
    if (definition.kind !== 'record') continue;
    const check = checkByName.get(name)!;
    records.set(name, (value) => {
      if (!isDagMap(value)) return 'not-an-object';
      return value['$type'] === name ? check(value) : 'type-wrong';
    });
  }
  return records;
}

function compileNode(
  node: LexiconNode,
  checkByName: ReadonlyMap<string, MapCheck>,
  compile: (node: LexiconNode) => LexiconCheck,
): LexiconCheck {
  switch (node.kind) {
    case 'string':
      return checkText(node);
    case 'blob':
      return checkBlob(node);
    case 'boolean':
      return (value) => (typeof value === 'boolean' ? null : 'kind-wrong');
    case 'integer': {
      const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = node;
      return (value) => {
        if (typeof value !== 'number' || !Number.isSafeInteger(value)) return 'kind-wrong';
        return value < minimum || value > maximum ? 'out-of-range' : null;
      };
    }
    case 'bytes': {
      const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = node;
      return (value) => {
        if (!(value instanceof ByteString)) return 'kind-wrong';
        if (value.bytes.length < minLength) return 'too-short';
        return value.bytes.length > maxLength ? 'too-long' : null;
      };
    }
    case 'array': {
      const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = node;
      const check = compile(node.items);
      return (value) => {
        if (!Array.isArray(value)) return 'kind-wrong';
        if (value.length < minLength) return 'too-short';
        if (value.length > maxLength) return 'too-long';
        for (const item of value) {
          const reason = check(item);
          if (reason !== null) return reason;
        }
        return null;
      };
    }
    case 'named':
      return (value) => {
        if (!isDagMap(value)) return 'not-an-object';
        const type = value['$type'];
        return type === undefined || type === node.name ? checkByName.get(node.name)!(value) : 'type-wrong';
      };
    case 'union': {
      const names = new Set(node.names);
      return (value) => {
        const type = isDagMap(value) ? value['$type'] : undefined;
        if (typeof type !== 'string') return 'union-untyped';
        if (names.has(type)) return checkByName.get(type)!(value as DagMap);
        return node.isClosed ? 'union-closed' : null;
      };
    }
  }
}
