/** The form of the generated schema of bsky.Service. */
/**
 * What a field holds. `timestamp` is google.protobuf.Timestamp; `map` goes from string to a
 * message.
 */
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

/**
 * How often a field may occur in a message; `optional` ones distinguish an absent value from the
 * default.
 */
export type FieldLabel = 'single' | 'optional' | 'repeated';

/**
 * One field: number, name in the proto file, lower-camel name, type, label, and the name of a
 * message or enum type.
 */
export type FieldSchema = readonly [
  number: number,
  name: string,
  local: string,
  type: FieldType,
  label: FieldLabel,
  of: string,
];

/** One enum value: number and full name. */
export type EnumName = readonly [number: number, name: string];

/** What may be encoded as a message: every field may be left out, which means its default. */
export type MessageInput<T> = T extends string | number | boolean | Uint8Array | undefined
  ? T
  : T extends ReadonlyMap<infer K, infer V>
    ? ReadonlyMap<K, MessageInput<V>>
    : T extends readonly (infer Item)[]
      ? readonly MessageInput<Item>[]
      : { readonly [Key in keyof T]?: MessageInput<T[Key]> | undefined };
