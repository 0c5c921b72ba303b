// One message from the sender to the receiver, through zulip-js as it is
// published. Arguments: the zuliprc files of both. Prints what it saw as JSON.
'use strict';

const zulip = require('zulip-js');

function must(what, answer) {
  if (answer.result !== 'success') {
    throw new Error(`${what}: ${JSON.stringify(answer)}`);
  }
  return answer;
}

async function main([senderFile, receiverFile]) {
  const sender = await zulip({ zuliprc: senderFile });
  const receiver = await zulip({ zuliprc: receiverFile });

  const settings = must('settings', await sender.server.settings());
  const profile = must('profile', await receiver.users.me.getProfile());
  const queue = must('register', await receiver.queues.register({ event_types: ['message'] }));

  const token = `token ${Date.now()} <&>`;
  const sent = must('send', await sender.messages.send({ type: 'private', to: [profile.email], content: token }));

  let lastEventId = queue.last_event_id;
  let message = null;
  let heartbeats = 0;
  while (message === null) {
    const batch = must(
      'events',
      await receiver.events.retrieve({ queue_id: queue.queue_id, last_event_id: lastEventId, dont_block: false }),
    );
    for (const event of batch.events) {
      lastEventId = Math.max(lastEventId, event.id);
      if (event.type === 'heartbeat') {
        heartbeats += 1;
      } else if (event.type === 'message' && event.message.id === sent.id) {
        message = event.message;
      }
    }
  }

  const history = must(
    'history',
    await receiver.messages.retrieve({
      anchor: 'newest', num_before: 10, num_after: 0, narrow: [{ operator: 'is', operand: 'dm' }], apply_markdown: false,
    }),
  );
  must('delete message', await sender.messages.deleteById({ message_id: sent.id }));
  must('deregister', await receiver.queues.deregister({ queue_id: queue.queue_id }));
  const afterwards = await receiver.events.retrieve({ queue_id: queue.queue_id, last_event_id: lastEventId });

  console.log(JSON.stringify({
    version: settings.zulip_version,
    receiver: profile.email,
    arrived: message.content === token,
    from: message.sender_email,
    heartbeats,
    history: history.messages.length,
    afterwards: afterwards.code,
  }));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
