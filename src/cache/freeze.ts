/** `value` with everything in it made read-only: all readers of one process share it. Plain data only, no cycles. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  if (Array.isArray(value)) for (const part of value) deepFreeze(part)
  else for (const name in value) deepFreeze(value[name])
  return Object.freeze(value)
}
