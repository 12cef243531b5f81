/** The types of the generated schema of bsky.Service. */

/** `timestamp` is google.protobuf.Timestamp; a `map` has strings as keys and messages as values. */
export type FieldType =
  | 'string'
  | 'bytes'
  | 'bool'
  | 'int32'
  | 'int64'
  | 'double'
  | 'enum'
  | 'message'
  | 'map'
  | 'timestamp';

/** An `optional` field distinguishes an absent value from the default. */
export type FieldLabel = 'single' | 'optional' | 'repeated';

/** `name` is that of the proto file, `local` lower-camel; `of` is a message or enum type or ''. */
export type FieldSchema = readonly [
  number: number,
  name: string,
  local: string,
  type: FieldType,
  label: FieldLabel,
  of: string,
];

export type EnumName = readonly [number: number, name: string];

/** A message to encode; a field that is left out has its default. */
export type MessageInput<T> = T extends string | number | boolean | Uint8Array | undefined
  ? T
  : T extends ReadonlyMap<infer K, infer V>
    ? ReadonlyMap<K, MessageInput<V>>
    : T extends readonly (infer Item)[]
      ? readonly MessageInput<Item>[]
      : { readonly [Key in keyof T]?: MessageInput<T[Key]> | undefined };
