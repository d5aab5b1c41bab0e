/**
 * Small ONNX files made by hand: the parts of the format (onnx.proto) that a linear model needs, so that tests need no
 * model from elsewhere. `scores = features x weights + bias`, and ways of getting that wrong.
 */

/** The format's numbers of element types. */
const ELEMENT = { float32: 1, int64: 7, float64: 11 } as const
type Element = keyof typeof ELEMENT

export interface LinearModel {
  /** One for each feature; the number of them is the input's width. */
  weights: readonly number[]
  /** Scores for each row: each is the same sum. @default 1 */
  outputs?: number
  /** @default 0 */
  bias?: number
  /** @default 'features' */
  inputName?: string
  /** @default 'scores' */
  outputName?: string
  /** What the file says of the input's and the output's elements. @default 'float32' */
  input?: Element
  output?: Element
  /** What the file says of the input's shape: numbers are fixed, words are free. @default ['rows', <weights>] */
  inputShape?: readonly (number | string)[]
  /** @default ['rows', 1] */
  outputShape?: readonly (number | string)[]
  /**
   * What is done after the sum. `Squeeze` takes the second dimension away; `ReduceSum` adds all rows up, so that there is
   * one score; `Transpose` makes rows of columns; `Log` is no number below 0 and not finite at 0; `Softmax` gives shares of
   * all rows together. @default nothing
   */
  ending?: 'Squeeze' | 'ReduceSum' | 'Transpose' | 'Log' | 'Softmax'
  /** A second input that the graph adds to the sum. */
  extraInput?: string
}

/** The file's bytes. */
export function linearModel(model: LinearModel): Uint8Array {
  const { weights, outputs = 1, bias = 0, inputName = 'features', outputName = 'scores', ending, extraInput } = model
  const { input = 'float32', output = 'float32' } = model
  const { inputShape = ['rows', weights.length], outputShape = ['rows', 1] } = model
  const columns = weights.flatMap((weight) => Array.from({ length: outputs }, () => weight))
  const last = ending === undefined ? outputName : 'sum'
  const sum = extraInput === undefined ? last : 'some'
  const graph = message([
    field(1, node('MatMul', [inputName, 'weights'], 'product')),
    field(1, node('Add', ['product', 'bias'], sum)),
    ...(extraInput === undefined ? [] : [field(1, node('Add', ['some', extraInput], last))]),
    ...(ending === undefined
      ? []
      : [field(1, node(ending, ['sum', ...axes(ending)], outputName, ending === 'Softmax' ? { axis: 0 } : {}))]),
    field(2, text('linear')),
    field(5, tensor('weights', input, [weights.length, outputs], columns)),
    field(5, tensor('bias', input, [1], [bias])),
    ...(axes(ending).length === 0 ? [] : [field(5, tensor('axis', 'int64', [1], [ending === 'ReduceSum' ? 0 : 1]))]),
    field(11, valueInfo(inputName, input, inputShape)),
    ...(extraInput === undefined ? [] : [field(11, valueInfo(extraInput, input, [1]))]),
    field(12, valueInfo(outputName, output, outputShape)),
  ])
  // ir_version 8, graph, opset_import { version: 13 }
  return message([varintField(1, 8), field(7, graph), field(8, message([varintField(2, 13)]))])
}

function axes(operator: LinearModel['ending']): string[] {
  return operator === 'Squeeze' || operator === 'ReduceSum' ? ['axis'] : []
}

/** NodeProto: input, output, op_type, attribute { name, i, type: INT }. */
function node(
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, number>> = {},
): Uint8Array {
  return message([
    ...inputs.map((name) => field(1, text(name))),
    field(2, text(output)),
    field(4, text(operator)),
    ...Object.entries(attributes).map(([name, value]) =>
      field(5, message([field(1, text(name)), varintField(3, value), varintField(20, 2)])),
    ),
  ])
}

/** TensorProto: dims, data_type, name, raw_data (little-endian). */
function tensor(name: string, type: Element, dims: readonly number[], values: readonly number[]): Uint8Array {
  const raw =
    type === 'float32'
      ? new Float32Array(values)
      : type === 'float64'
        ? new Float64Array(values)
        : new BigInt64Array(values.map(BigInt))
  return message([
    ...dims.map((dim) => varintField(1, dim)),
    varintField(2, ELEMENT[type]),
    field(8, text(name)),
    field(9, new Uint8Array(raw.buffer)),
  ])
}

/** ValueInfoProto: name, type { tensor_type { elem_type, shape { dim { dim_value | dim_param } } } }. */
function valueInfo(name: string, type: Element, shape: readonly (number | string)[]): Uint8Array {
  const dims = shape.map((dim) =>
    field(1, message([typeof dim === 'number' ? varintField(1, dim) : field(2, text(dim))])),
  )
  const tensorType = message([varintField(1, ELEMENT[type]), field(2, message(dims))])
  return message([field(1, text(name)), field(2, message([field(1, tensorType)]))])
}

/** A field of bytes: its number and wire type 2, its length, itself. */
function field(number: number, bytes: Uint8Array): Uint8Array {
  return message([varint((number << 3) | 2), varint(bytes.length), bytes])
}

function varintField(number: number, value: number): Uint8Array {
  return message([varint(number << 3), varint(value)])
}

/** Seven bits a byte, the lowest first; all but the last have the eighth bit set. */
function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest > 127) {
    bytes.push((rest & 127) | 128)
    rest >>>= 7
  }
  return Uint8Array.of(...bytes, rest)
}

function message(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}
