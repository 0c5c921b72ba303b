package rabbitmqconsumers

import (
	"testing"

	"github.com/belfry-monitoring/belfry/testbed/script"
)

func TestMain(m *testing.M) { script.Main(m, Definition) }
