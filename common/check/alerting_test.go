package check

import (
	"testing"
	"time"
)

func TestAlerting(t *testing.T) {
	tests := []struct {
		interval    time.Duration
		given, want Alert
	}{
		{time.Minute, Alert{}, Alert{For: 150 * time.Second, KeepFiringFor: 5 * time.Minute}},
		{time.Hour, Alert{}, Alert{For: 150 * time.Minute, KeepFiringFor: 150 * time.Minute}},
		{time.Minute, Alert{For: 10 * time.Minute}, Alert{For: 10 * time.Minute, KeepFiringFor: 10 * time.Minute}},
		{time.Minute, Alert{KeepFiringFor: time.Minute}, Alert{For: 150 * time.Second, KeepFiringFor: time.Minute}},
	}
	for _, tt := range tests {
		if got := (&Definition{Interval: tt.interval, Alert: tt.given}).Alerting(); got != tt.want {
			t.Errorf("Alerting() of %+v each %s = %+v; want %+v", tt.given, tt.interval, got, tt.want)
		}
	}
}
