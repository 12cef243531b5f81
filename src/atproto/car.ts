/** Why bytes are not a CAR v1 that we read. */
export type CarReason =
  | 'car-too-large'
  | 'car-truncated'
  | 'car-header-bad'
  | 'car-version-unknown'
  | 'car-root-missing'
  | 'car-block-too-large'
  | 'car-too-many-blocks'
  | 'car-cid-unsupported'
  | 'car-index-crowded';
