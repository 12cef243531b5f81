/** Lexicon definitions as data: what the generator writes and `compileLexicon` reads. */
import type { StringFormat } from '../string-format.ts';

export type LexiconNode = LexiconKind & {
  /** The field may be absent. */
  readonly isOptional?: boolean;
};

/** Units: text lengths in UTF-8 bytes, sizes in bytes, array lengths in items. */
export type LexiconKind =
  | LexiconText
  | { readonly kind: 'integer'; readonly minimum?: number; readonly maximum?: number }
  | { readonly kind: 'bytes'; readonly minLength?: number; readonly maxLength?: number }
  | LexiconBlob
  | { readonly kind: 'boolean' }
  | { readonly kind: 'array'; readonly items: LexiconNode; readonly minLength?: number; readonly maxLength?: number }
  /** An object of a named definition; its `$type` may be absent, but not another one. */
  | { readonly kind: 'named'; readonly name: string }
  /** An object that names its definition. An open union accepts unknown names. */
  | { readonly kind: 'union'; readonly isClosed: boolean; readonly names: readonly string[] };

export type LexiconText = {
  readonly kind: 'string';
  readonly format?: StringFormat;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly maxGraphemes?: number;
};
/** A reference to an uploaded file. `accept` holds MIME types, with `*` for any subtype. */
export type LexiconBlob = { readonly kind: 'blob'; readonly accept?: readonly string[]; readonly maxSize?: number };

/** Fields that are checked; others pass. */
export type LexiconFields = { readonly [field: string]: LexiconNode };
/** A record must name its `$type`; an object need not. */
export type LexiconDefinition = { readonly kind: 'record' | 'object'; readonly fields: LexiconFields };
/** By full name: `nsid`, or `nsid#name`. */
export type LexiconDefinitions = { readonly [name: string]: LexiconDefinition };
