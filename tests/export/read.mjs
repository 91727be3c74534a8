// read.mjs hyparquet|duckdb FILE: the rows of a Parquet file as this reader gives them, a JSON array a line; the first
// line: the names of the columns, their types, and what the file tells of itself. A value is null, a boolean, a text,
// ["i", digits] or ["d", the bits of the double].
import { createWriteStream } from 'node:fs'

const bits = Buffer.alloc(8)
function plain(value) {
  if (value === undefined || value === null || typeof value === 'boolean' || typeof value === 'string') {
    return value ?? null
  }
  if (typeof value === 'bigint') return ['i', value.toString()]
  if (typeof value !== 'number') throw new Error(`a value of type ${typeof value}`)
  bits.writeDoubleBE(value)
  return ['d', bits.toString('hex')]
}

async function byHyparquet(path) {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await import('hyparquet')
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
  const columns = metadata.schema.slice(1)
  return {
    names: columns.map(column => column.name),
    types: columns.map(column => column.type),
    about: Object.fromEntries(metadata.key_value_metadata.map(pair => [pair.key, pair.value])),
    groups: metadata.row_groups.map(group => {
      const seq = group.columns[0].meta_data.statistics
      return [Number(group.num_rows), Number(seq.min_value), Number(seq.max_value)]
    }),
    rows: (await parquetReadObjects({ file, metadata })).map(row => columns.map(column => row[column.name])),
  }
}

async function byDuckdb(path) {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  const name = `'${path.replaceAll("'", "''")}'`
  const reader = await connection.runAndReadAll(`SELECT * FROM read_parquet(${name})`)
  const pairs = await connection.runAndReadAll(
    `SELECT decode(key), decode(value) FROM parquet_kv_metadata(${name})`)
  const groups = await connection.runAndReadAll(
    `SELECT row_group_num_rows, stats_min_value, stats_max_value FROM parquet_metadata(${name})
     WHERE path_in_schema = 'seq' ORDER BY row_group_id`)
  return {
    names: reader.columnNames(),
    types: reader.columnTypes().map(String),
    about: Object.fromEntries(pairs.getRows()),
    groups: groups.getRows().map(row => row.map(Number)),
    rows: reader.getRows(),
  }
}

const [which, path] = process.argv.slice(2)
const { rows, ...head } = await (which === 'duckdb' ? byDuckdb : byHyparquet)(path)
const out = createWriteStream(null, { fd: 1 })
out.write(JSON.stringify(head) + '\n')
for (const row of rows) {
  if (!out.write(JSON.stringify(row.map(plain)) + '\n')) await new Promise(done => out.once('drain', done))
}
out.end()
