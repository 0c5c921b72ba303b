package preview

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// chromium is Debian's.
const chromium = "/usr/bin/chromium"

// Photograph has Chromium draw a page and writes what it sees as a PNG with a
// palette, which is a fraction of the size.
func Photograph(ctx context.Context, pageFile, pngFile string, width, height int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "belfry-photo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	pageFile, err = filepath.Abs(pageFile)
	if err != nil {
		return err
	}
	raw := filepath.Join(dir, "raw.png")
	args := []string{"--headless", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
		"--force-device-scale-factor=1", "--user-data-dir=" + filepath.Join(dir, "profile"),
		"--window-size=" + strconv.Itoa(width) + "," + strconv.Itoa(height), "--screenshot=" + raw, "file://" + pageFile}
	if os.Getuid() == 0 {
		args = append(args, "--no-sandbox") // it refuses to run as root
	}
	cmd := exec.CommandContext(ctx, chromium, args...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("photograph %s with %s: %w: %s", pageFile, chromium, err, lastLine(out))
	}
	data, err := os.ReadFile(raw)
	if err != nil {
		return fmt.Errorf("photograph %s: chromium made no picture: %w", pageFile, err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("photograph %s: %w", pageFile, err)
	}
	var small bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&small, quantize(img)); err != nil {
		return err
	}
	return os.WriteFile(pngFile, small.Bytes(), 0o644)
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
