/** The ways in which one record points at an actor or at another record. */
export type EdgeKind =
  | 'follow'
  | 'like'
  | 'repost'
  | 'quote'
  | 'reply'
  | 'block'
  | 'list-item'
  | 'list-block'
  | 'verification';
