/** Less than 0: the item `a` belongs before `b`. */
export type Compare = (a: number, b: number) => number

/** Fewer are sorted by insertion. */
const FEW = 7
/** From here on the middle is chosen among nine. */
const MANY = 40

/**
 * Sorts items so far that those from position `first` to `last` are where they belong. Which of equal ones come first is
 * what servers make of it: they use the quicksort of Bentley and McIlroy, which leaves out what is not asked for.
 */
export function partialSort(items: Int32Array, compare: Compare, first: number, last: number): void {
  sortRange(items, 0, items.length, compare, first, last)
}

function sortRange(
  items: Int32Array,
  begin: number,
  count: number,
  compare: Compare,
  first: number,
  last: number,
): void {
  let base = begin
  let n = count
  for (;;) {
    if (n < FEW) {
      insertionSort(items, base, n, compare)
      return
    }
    exchange(items, base, pivotOf(items, base, n, compare))
    const pivot = items[base]
    // Equal ones are put at both ends, and brought to the middle afterwards.
    let equalLow = base + 1
    let low = base + 1
    let high = base + n - 1
    let equalHigh = high
    for (;;) {
      for (; low <= high; low++) {
        const order = compare(items[low], pivot)
        if (order > 0) break
        if (order === 0) exchange(items, equalLow++, low)
      }
      for (; low <= high; high--) {
        const order = compare(items[high], pivot)
        if (order < 0) break
        if (order === 0) exchange(items, high, equalHigh--)
      }
      if (low > high) break
      exchange(items, low++, high--)
    }
    const end = base + n
    const fewerLow = Math.min(equalLow - base, low - equalLow)
    exchangeAll(items, base, low - fewerLow, fewerLow)
    const fewerHigh = Math.min(equalHigh - high, end - equalHigh - 1)
    exchangeAll(items, low, end - fewerHigh, fewerHigh)
    const below = low - equalLow
    if (below > 1 && first <= base + below - 1 && last >= base) {
      sortRange(items, base, below, compare, first, last)
    }
    const above = equalHigh - high
    base = end - above
    n = above
    if (above <= 1 || first > end - 1 || last < base) return
  }
}

function insertionSort(items: Int32Array, base: number, n: number, compare: Compare): void {
  for (let i = base + 1; i < base + n; i++) {
    for (let k = i; k > base && compare(items[k - 1], items[k]) > 0; k--) exchange(items, k, k - 1)
  }
}

function pivotOf(items: Int32Array, base: number, n: number, compare: Compare): number {
  const middle = base + (n >>> 1)
  if (n === FEW) return middle
  const last = base + n - 1
  if (n <= MANY) return median(items, base, middle, last, compare)
  const d = n >>> 3
  return median(
    items,
    median(items, base, base + d, base + 2 * d, compare),
    median(items, middle - d, middle, middle + d, compare),
    median(items, last - 2 * d, last - d, last, compare),
    compare,
  )
}

/** The position of the one between the two others. */
function median(items: Int32Array, a: number, b: number, c: number, compare: Compare): number {
  const x = items[a]
  const y = items[b]
  const z = items[c]
  if (compare(x, y) < 0) return compare(y, z) < 0 ? b : compare(x, z) < 0 ? c : a
  return compare(y, z) > 0 ? b : compare(x, z) < 0 ? a : c
}

function exchange(items: Int32Array, a: number, b: number): void {
  const item = items[a]
  items[a] = items[b]
  items[b] = item
}

function exchangeAll(items: Int32Array, a: number, b: number, count: number): void {
  for (let i = 0; i < count; i++) exchange(items, a + i, b + i)
}
