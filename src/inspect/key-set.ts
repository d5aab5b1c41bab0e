/** A set of keys as 53-bit hashes, 16 to 32 bytes a key: what a plan of millions leaves in memory. */
export class KeySet {
  #slots = new Float64Array(1024)
  #size = 0

  add(key: string): void {
    if (this.#size * 2 >= this.#slots.length) this.#grow()
    this.#size += put(this.#slots, hash53(key)) ? 1 : 0
  }

  /** Wrong about an absent key once in 2^53 / size. */
  has(key: string): boolean {
    const hash = hash53(key)
    const slot = slotOf(this.#slots, hash)
    return this.#slots[slot] === hash
  }

  #grow(): void {
    const slots = new Float64Array(this.#slots.length * 2)
    for (const hash of this.#slots) if (hash !== 0) put(slots, hash)
    this.#slots = slots
  }
}

function put(slots: Float64Array, hash: number): boolean {
  const slot = slotOf(slots, hash)
  const isNew = slots[slot] === 0
  slots[slot] = hash
  return isNew
}

/** The hash's slot, or the free one where it belongs. */
function slotOf(slots: Float64Array, hash: number): number {
  const mask = slots.length - 1
  let slot = hash % slots.length
  while (slots[slot] !== 0 && slots[slot] !== hash) slot = (slot + 1) & mask
  return slot
}

/** cyrb53 by bryc, public domain (https://github.com/bryc/code/blob/master/jshash/experimental/cyrb53.js). Never 0. */
function hash53(text: string): number {
  let h1 = 0xdeadbeef
  let h2 = 0x41c6ce57
  for (let index = 0; index < text.length; index++) {
    const char = text.charCodeAt(index)
    h1 = Math.imul(h1 ^ char, 2654435761)
    h2 = Math.imul(h2 ^ char, 1597334677)
  }
  h1 = Math.imul(h1 ^ (h1 >>> 16), 2246822507) ^ Math.imul(h2 ^ (h2 >>> 13), 3266489909)
  h2 = Math.imul(h2 ^ (h2 >>> 16), 2246822507) ^ Math.imul(h1 ^ (h1 >>> 13), 3266489909)
  return 4294967296 * (2097151 & h2) + (h1 >>> 0) || 1
}
