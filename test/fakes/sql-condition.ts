type Row = Record<string, number>

const TOKEN = /q\."(\w+)"|'-?\d+'|<=|>=|[<>=(),]|and\b|or\b|not\b/g

/** Whether `row` meets a condition such as `(q."a", q."b") >= ('1', '2') and not ((q."a" < '3') or …)`, as Postgres reads it. */
export function meets(condition: string, row: Row): boolean {
  if (condition.replace(TOKEN, '').trim() !== '') throw new Error(`not understood: ${condition.replace(TOKEN, '')}`)
  const tokens = [...condition.matchAll(TOKEN)].map(([token]) => token)
  let at = 0

  const expect = (token: string) => {
    if (tokens[at++] !== token) throw new Error(`expected ${token} at ${at - 1} in ${condition}`)
  }
  const value = (): number => {
    const token = tokens[at++] as string
    return token.startsWith("'") ? Number(token.slice(1, -1)) : (row[token.slice(3, -1)] as number)
  }
  const tuple = (): number[] => {
    expect('(')
    const values = [value()]
    while (tokens[at] === ',') {
      at++
      values.push(value())
    }
    expect(')')
    return values
  }
  const isTuple = () => {
    const close = tokens.indexOf(')', at)
    return (
      tokens.slice(at + 1, close).every((token) => token.startsWith("'") || token === ',' || token.startsWith('q.')) &&
      /[<>=]/.test(tokens[close + 1] ?? '')
    )
  }
  const atom = (): boolean => {
    if (tokens[at] !== '(') return compare([value()], tokens[at++] as string, [value()])
    if (isTuple()) return compare(tuple(), tokens[at++] as string, tuple())
    expect('(')
    const result = either()
    expect(')')
    return result
  }
  const negated = (): boolean => {
    if (tokens[at] !== 'not') return atom()
    at++
    return !negated()
  }
  // Both sides are always read, as the tokens go by.
  const both = (): boolean => {
    let result = negated()
    while (tokens[at] === 'and') {
      at++
      result = [negated(), result].every(Boolean)
    }
    return result
  }
  const either = (): boolean => {
    let result = both()
    while (tokens[at] === 'or') {
      at++
      result = [both(), result].some(Boolean)
    }
    return result
  }

  const result = either()
  if (at !== tokens.length) throw new Error(`left over at ${at} in ${condition}`)
  return result
}

/** Row comparison: the first column that differs decides. */
function compare(a: readonly number[], operator: string, b: readonly number[]): boolean {
  const index = a.findIndex((one, at) => one !== b[at])
  const sign = index === -1 ? 0 : Math.sign((a[index] as number) - (b[index] as number))
  if (operator === '=') return sign === 0
  if (operator === '<') return sign < 0
  if (operator === '>') return sign > 0
  return operator === '<=' ? sign <= 0 : sign >= 0
}
