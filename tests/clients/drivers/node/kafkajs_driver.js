// KafkaJS. It offers no consumer without a group, so `consume` reads through the cluster object beneath its consumer: the same requests and
// the same decoders. The command line is described in drivers/python/driver.py.
'use strict'

const fs = require('fs')
const readline = require('readline')
const { Kafka, CompressionTypes, CompressionCodecs, PartitionAssigners, logLevel } = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4-napi')
const { ZstdCodec } = require('zstd-codec')

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}
const READ_UNCOMMITTED = 0
const SECONDS = 60

const encode = data => (data === null || data === undefined ? null : Buffer.from(data).toString('base64'))
const decode = text => (text === null ? null : Buffer.from(text, 'base64'))
const readLines = path => fs.readFileSync(path, 'utf8').split('\n').filter(line => line.trim() !== '')

function registerCodecs(zstd) {
  const stream = new zstd.Streaming()
  CompressionCodecs[CompressionTypes.Snappy] = snappy
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: encoder => lz4.compressFrame(encoder.buffer),
    decompress: data => lz4.decompressFrame(data),
  })
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async encoder => Buffer.from(stream.compress(encoder.buffer)),
    decompress: async data => Buffer.from(stream.decompress(data, data.length * 10)),
  })
}

function headersToObject(headers) {
  const object = {}
  for (const [name, value] of headers) {
    const data = decode(value)
    object[name] = name in object ? [].concat(object[name], [data]) : data
  }
  return object
}

const headersToPairs = object =>
  Object.entries(object).flatMap(([name, value]) => [].concat(Array.isArray(value) ? value : [value]).map(data => [name, encode(data)]))

const goes = job => job.until !== undefined && !fs.existsSync(job.until)

async function produce(kafka, job) {
  const producer = kafka.producer({
    idempotent: job.idempotent,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    ...(job.until === undefined ? {} : { retry: { retries: 100, maxRetryTime: 1000 } }),
  })
  await producer.connect()
  const messages = job.records.map(record => ({
    partition: record.partition,
    key: decode(record.key),
    value: decode(record.value),
    headers: headersToObject(record.headers),
    ...(record.timestamp === null ? {} : { timestamp: String(record.timestamp) }),
  }))
  const answer = { topic: job.topic, offsets: job.records.map(() => null), errors: [] }
  const send = async (first, last) => {
    const part = messages.slice(first, last)
    const results = await producer.send({ topic: job.topic, acks: job.acks, compression: CODECS[job.codec], messages: part })
    // One send is one batch per partition, in order, so each offset follows from the base offset.
    const next = new Map((job.acks === 0 ? [] : results).map(result => [result.partition, Number(result.baseOffset)]))
    part.forEach(({ partition }, index) => {
      if (!next.has(partition)) return
      answer.offsets[first + index] = next.get(partition)
      next.set(partition, next.get(partition) + 1)
    })
  }
  try {
    let sent = 0
    for (; sent < messages.length && goes(job); sent++) {
      await send(sent, sent + 1)
      await new Promise(resolve => setTimeout(resolve, job.pace_ms))
    }
    if (sent < messages.length) await send(sent, messages.length)
  } catch (error) {
    answer.errors.push(String(error))
  }
  await producer.disconnect()
  return answer
}

function createCluster(kafka) {
  const symbol = Object.getOwnPropertySymbols(kafka).find(candidate => candidate.description === 'private:Kafka:createCluster')
  return kafka[symbol]({ metadataMaxAge: 300000, allowAutoTopicCreation: false, isolationLevel: READ_UNCOMMITTED })
}

async function readPartition(cluster, topic, partition, end, print) {
  let offset = 0n
  const deadline = Date.now() + SECONDS * 1000
  while (offset < end) {
    if (Date.now() > deadline) throw new Error(`not read to the end in ${SECONDS} s: ${topic}-${partition}`)
    const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]))
    const broker = await cluster.findBroker({ nodeId })
    const { responses } = await broker.fetch({
      replicaId: -1,
      isolationLevel: READ_UNCOMMITTED,
      maxWaitTime: 500,
      topics: [{ topic, partitions: [{ partition, fetchOffset: offset.toString(), maxBytes: 1048576, currentLeaderEpoch: -1 }] }],
    })
    for (const message of responses[0].partitions[0].messages) {
      if (BigInt(message.offset) < offset) continue
      print({
        topic,
        partition,
        offset: Number(message.offset),
        timestamp: Number(message.timestamp),
        key: encode(message.key),
        value: encode(message.value),
        headers: headersToPairs(message.headers),
      })
      offset = BigInt(message.offset) + 1n
    }
  }
}

async function consume(kafka, topics, print) {
  const admin = kafka.admin()
  await admin.connect()
  const cluster = createCluster(kafka)
  await cluster.connect()
  await cluster.addMultipleTargetTopics(topics)
  for (const topic of topics) {
    for (const { partition, offset } of await admin.fetchTopicOffsets(topic)) {
      await readPartition(cluster, topic, partition, BigInt(offset), print)
    }
  }
  await cluster.disconnect()
  await admin.disconnect()
}

// A member of a group; drivers/python/group.py describes what it prints and what it is told.
async function group(kafka, spec, print) {
  const consumer = kafka.consumer({
    groupId: spec.group,
    partitionAssigners: [PartitionAssigners.roundRobin],
    sessionTimeout: spec.session_ms,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 500,
    metadataMaxAge: 1000,
    allowAutoTopicCreation: false,
  })
  let owned = []
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    owned = Object.entries(payload.memberAssignment).map(([topic, partitions]) => ({ topic, partitions }))
    print({ event: 'assigned', partitions: owned.flatMap(({ topic, partitions }) => partitions.map(partition => [topic, partition])) })
  })
  await consumer.connect()
  await consumer.subscribe({ topics: spec.topics, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch: { topic, partition, messages } }) => {
      for (const { offset, value } of messages) print({ event: 'record', topic, partition, offset: Number(offset), value: value.toString() })
      await consumer.commitOffsets([{ topic, partition, offset: String(BigInt(messages.at(-1).offset) + 1n) }])
      print({ event: 'committed' })
    },
  })
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [command, topic, partition, number] = line.split(' ')
    if (command === 'close') break
    await obey(kafka, consumer, owned, command, topic, Number(partition), number)
    print({ event: 'done', command })
  }
  await consumer.disconnect()
  process.stdin.destroy()
}

async function obey(kafka, consumer, owned, command, topic, partition, number) {
  if (command === 'pause') consumer.pause(owned)
  else if (command === 'resume') consumer.resume(owned)
  else if (command === 'seek') consumer.seek({ topic, partition, offset: number })
  else if (command === 'seek-to-time') {
    const admin = kafka.admin()
    await admin.connect()
    const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, Number(number))
    await admin.disconnect()
    consumer.seek({ topic, partition, offset: offsets.find(found => found.partition === partition).offset })
  } else throw new Error(`unknown command: ${command}`)
}

async function main() {
  const [verb, bootstrap, path] = process.argv.slice(2)
  const kafka = new Kafka({ clientId: 'kafkajs', brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 3 } })
  const print = object => process.stdout.write(JSON.stringify(object) + '\n')
  if (verb === 'produce') {
    for (const line of readLines(path)) print(await produce(kafka, JSON.parse(line)))
  } else if (verb === 'group') {
    await group(kafka, JSON.parse(fs.readFileSync(path, 'utf8')), print)
  } else {
    await consume(kafka, readLines(path), print)
  }
}

ZstdCodec.run(zstd => {
  registerCodecs(zstd)
  main().catch(error => {
    console.error(error)
    process.exitCode = 1
  })
})
