// Package rabbitmq reads the queues of a RabbitMQ vhost from the management
// API. It holds no verdicts: what a number means is for the checks to say.
//
// The broker has two lists of the same queues. The statistics (consumers,
// rates, head of the queue) are collected every 5 s, are missing for that long
// after a start and for a new queue, and lag 5 to 8 s behind under load. The
// totals (disable_stats=true&enable_queue_totals=true, since 3.8) are asked
// from the queues themselves and true at once. Depths come from the totals,
// everything else from the statistics, and what a list does not hold is not
// known, never zero.
package rabbitmq
