/**
 * The first `limit` of the places 0 to `scores.length` - 1, highest score first and of equals the lower place; those with a
 * score of 0 or less are left out.
 */
export function rank(scores: Float64Array, limit: number): Uint32Array {
  const positive = scores.filter((score) => score > 0)
  if (positive.length === 0 || limit < 1) return new Uint32Array()
  const least = positive.length > limit ? kthLargest(positive, limit) : 0
  const places: number[] = []
  const equals: number[] = []
  for (let place = 0; place < scores.length; place++) {
    const score = scores[place] as number
    if (score > least) places.push(place)
    else if (score === least && least > 0) equals.push(place)
  }
  const sorted = Uint32Array.from(places).sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b)
  const ranked = new Uint32Array(Math.min(limit, sorted.length + equals.length))
  ranked.set(sorted)
  ranked.set(equals.slice(0, ranked.length - sorted.length), sorted.length)
  return ranked
}

/** The `k`-th largest, `k` from 1 to their number. Moves them about. */
export function kthLargest(values: Float64Array, k: number): number {
  const wanted = values.length - k
  let low = 0
  let high = values.length - 1
  while (low < high) {
    const pivot = values[(low + high) >>> 1] as number
    let left = low
    let right = high
    while (left <= right) {
      while ((values[left] as number) < pivot) left++
      while ((values[right] as number) > pivot) right--
      if (left > right) break
      const moved = values[left] as number
      values[left++] = values[right] as number
      values[right--] = moved
    }
    if (wanted <= right) high = right
    else if (wanted >= left) low = left
    else break
  }
  return values[wanted] as number
}
