/** Why a value does not fit its lexicon. */
export type LexiconReason =
  | 'not-an-object'
  | 'type-wrong'
  | 'field-missing'
  | 'kind-wrong'
  | 'too-long'
  | 'too-short'
  | 'too-many-graphemes'
  | 'too-few-graphemes'
  | 'out-of-range'
  | 'value-not-allowed'
  | 'format-bad'
  | 'blob-bad'
  | 'union-untyped'
  | 'union-closed';
